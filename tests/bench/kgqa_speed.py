"""Measure questions per second of `nlpkit kgqa` and of transformers' constrained beam search, with equal weights.

    python tests/bench/kgqa_speed.py [MODEL] [QUESTIONS] [REPETITIONS]

transformers: `generate(prefix_allowed_tokens_fn=…)` with a trie of dicts and a DynamicCache, on the network of the
model (the embedded one, or a folder) as plain torch modules, with probabilities renormalised over the allowed tokens.
The questions are in batches of 64, the fastest size, once sorted by length, as nlpkit sorts them itself, and once in
the order of the file. nlpkit: beam search of the same width without look-ahead, in the batches of the command, in fp32
and in the precision of `--dtype auto`; and the command with its default settings. The graph has 715,721 triples.
Everything is loaded before the clock starts. All sides run in turn in every repetition; speeds are those of the fastest
one, a ratio is the median of those within a repetition.
"""

import sys
import tempfile
from operator import eq, truediv
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import DATA, record, timed

BATCH, BEAM, MAX_TOKENS = 64, 3, 64  # questions per batch of transformers, beam width, tokens of a key


def dict_trie(tree: Any) -> dict[int, Any]:
    """Return the keys of a graph as nested dicts."""
    root: dict[int, Any] = {}
    for rank in range(len(tree)):
        node = root
        for token in tree.tokens(rank).tolist():
            node = node.setdefault(token, {})
    return root


def their_model(network: Any, sep_id: int) -> Any:
    """Return the network as a decoder of transformers: prompt tokens attend to the prompt, new tokens to their past."""
    from transformers import DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast

    from nlpkit.nn.layers.attention import BatchAttention
    from nlpkit.tasks.kgqa.codec import KEY_SEGMENT

    class CachedRows(BatchAttention):
        def __init__(self, mask: Any, cache: Any, layer: int):
            super().__init__(mask, mask.shape[1])
            self.update = lambda key, value: cache.update(key, value, layer)

        def __call__(self, query: Any, key: Any, value: Any) -> Any:
            key, value = self.update(key.transpose(1, 2), value.transpose(1, 2))
            return super().__call__(query, key.transpose(1, 2), value.transpose(1, 2))

    class Reader(PreTrainedModel, GenerationMixin):
        config_class = PretrainedConfig
        main_input_name = "input_ids"

        def __init__(self, config: Any):
            super().__init__(config)
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any = None, **more: Any) -> Any:
            cache = more.get("cache", more.get("past_key_values"))  # the first name from transformers 5.24 on
            cache = DynamicCache() if cache is None else cache
            first = cache.get_seq_length() == 0
            size = input_ids.shape[1]
            if attention_mask is None:  # omitted by transformers if there is no padding
                attention_mask = torch.ones(len(input_ids), cache.get_seq_length() + size, dtype=torch.long)
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, -size:]
            segments = torch.full_like(input_ids, 0 if first else KEY_SEGMENT)
            attends = [CachedRows(attention_mask.bool(), cache, layer) for layer in range(config.num_hidden_layers)]
            states = self.network.backbone.layer_states(input_ids, segments, positions, attends)[-1]
            return CausalLMOutputWithPast(logits=self.network.generate(states[:, -1])[:, None], past_key_values=cache)

    config = PretrainedConfig(
        vocab_size=len(network.bias), num_hidden_layers=len(network.backbone.layers), is_decoder=True, use_cache=True
    )
    return Reader(config).eval()


def their_answers(reader: Any, trie: dict[int, Any], questions: list[Any], pad_id: int, sep_id: int) -> list[list[int]]:
    """Return the best key of each question, as tokens, by transformers."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    answers: list[list[int]] = []
    for start in range(0, len(questions), BATCH):
        rows = [question.ids for question in questions[start : start + BATCH]]
        size = max(map(len, rows))
        ids = torch.tensor([[pad_id] * (size - len(row)) + row for row in rows])

        class Complete(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
                return (input_ids[:, size:] == sep_id).sum(-1) >= 3  # noqa: B023

        def allowed(batch_id: int, sequence: Any) -> list[int]:
            node = trie
            for token in sequence[size:].tolist():  # noqa: B023
                node = node.get(token, {})
            return list(node) or [pad_id]  # after a finished beam, whose score does not change any more

        found = reader.generate(
            input_ids=ids, attention_mask=(torch.arange(size) >= torch.tensor([[size - len(r)] for r in rows])).long(),
            num_beams=BEAM, do_sample=False, max_new_tokens=MAX_TOKENS, length_penalty=0.0, renormalize_logits=True,
            prefix_allowed_tokens_fn=allowed, stopping_criteria=StoppingCriteriaList([Complete()]), pad_token_id=pad_id,
        )  # fmt: skip
        for row in found[:, size:].tolist():
            ends = [place for place, token in enumerate(row) if token == sep_id]
            answers.append(row[: ends[2] + 1] if len(ends) > 2 else row)
    return answers


def our_answers(model: Any, questions: list[Any], batch: int) -> list[list[int]]:
    """Return the best key of each question, as tokens, by the beam search of nlpkit."""
    from nlpkit.tasks.kgqa.decoding.beam_search import beam_search

    tree = model.graph.tree
    found: list[Any] = []
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        found += beam_search(model.runner, tree, part, BEAM, False)
    return [tree.tokens(best.key).tolist() for best, *_ in found]


def main(name: str = "kgqa", count: int = 1000, repetitions: int = 3) -> None:
    """Measure all sides in turn and record the result."""
    from nlpkit.core.model.loading import load_predictor
    from nlpkit.core.model.pretrained import find_tokenizer
    from nlpkit.tasks.kgqa.codec import Question
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.build import build_graph
    from nlpkit.tasks.kgqa.graph.triples import TripleReader
    from nlpkit.tasks.kgqa.pipeline import BEAM_SEARCH_BATCH
    from nlpkit.tasks.kgqa.task import KgqaTask, load

    with tempfile.TemporaryDirectory() as temporary:
        triples = TripleReader().read([str(DATA / "kg" / "kgclue_graph.tsv.zst")])
        build_graph(triples, Path(temporary) / "g.kg", find_tokenizer(name))
        models = {dtype: load(name, "cpu", dtype, graph=str(Path(temporary) / "g.kg")) for dtype in ("fp32", "auto")}
        model = models["fp32"]
        tree, pad_id = model.graph.tree, model.tokenizer.pad_id
        texts = [e.text for e in read_examples([str(DATA / "kgclue" / "dev.json")], "kgclue")][:count]
        as_asked = [Question.encode(text, model.tokenizer, model.max_length) for text in texts]
        questions = sorted(as_asked, key=lambda question: len(question.ids))
        plain = load_predictor(
            name,
            KgqaTask,
            "cpu",
            "fp32",
            trainable=True,
            make_task=lambda settings, _: KgqaTask(settings, model.graph),
        ).network
        reader, trie = their_model(plain, tree.sep_id), dict_trie(tree)
        answers: dict[str, list[list[int]]] = {}
        batch = BEAM_SEARCH_BATCH
        sides = {
            "transformers, sorted": lambda: their_answers(reader, trie, questions, pad_id, tree.sep_id),
            "transformers, in the order of the file": lambda: their_answers(
                reader, trie, as_asked, pad_id, tree.sep_id
            ),
            "nlpkit beam search, fp32": lambda: our_answers(models["fp32"], questions, batch),
            "nlpkit beam search, auto": lambda: our_answers(models["auto"], questions, batch),
            "nlpkit kgqa": lambda: models["auto"].predictions(texts),
        }
        our_answers(models["fp32"], questions[::16], batch)  # warm-up for all shapes
        our_answers(models["auto"], questions[::16], batch)
        models["auto"].predictions(texts[:50])
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        with torch.inference_mode():
            their_answers(reader, trie, questions[::16], pad_id, tree.sep_id)
            for _ in range(repetitions):
                for side, run in sides.items():
                    seconds[side].append(timed(lambda: answers.update({side: run()})))  # noqa: B023
    speeds = {side: round(count / min(values), 2) for side, values in seconds.items()}
    ours = [side for side in speeds if side.startswith("nlpkit")]
    record(
        "kgqa_speed",
        {
            "questions": count,
            "repetitions": repetitions,
            "graph": "kgclue_graph.tsv.zst, 715,721 triples",
            "model": name,
            "beam": BEAM,
            "batch": {"transformers": BATCH, "nlpkit": BEAM_SEARCH_BATCH},
            "questions_per_second": speeds,
            "same_answers": {
                side: sum(map(eq, answers[side], answers["transformers, sorted"])) / count
                for side in ("nlpkit beam search, fp32", "nlpkit beam search, auto")
            },
            "ratio": {
                base: {side: round(median(map(truediv, seconds[base], seconds[side])), 2) for side in ours}
                for base in ("transformers, sorted", "transformers, in the order of the file")
            },
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:4]))
