"""Questions per second of `nlpkit kgqa` and of transformers' constrained beam search: same weights, keys, beam.

    python tests/bench/kgqa_speed.py [MODEL] [QUESTIONS]

Theirs is `generate(prefix_allowed_tokens_fn=…)` over a trie of dicts, with its own DynamicCache, on the very network of
the model (the embedded one, or a folder), in batches of 32 questions, probabilities renormalised over what is allowed.
Ours is the beam search of the same width without look-ahead, in the same batches; then the command's own way of
answering. The graph is that of the data folder with 715,721 triples; both sides are loaded before the clock starts.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import DATA, record, timed

BATCH, BEAM, LONGEST = 32, 3, 64


def dict_trie(tree: Any) -> dict[int, Any]:
    """The keys of a graph as nested dicts."""
    root: dict[int, Any] = {}
    for rank in range(len(tree)):
        node = root
        for token in tree.tokens(rank).tolist():
            node = node.setdefault(token, {})
    return root


def their_model(network: Any, sep_id: int) -> Any:
    """The network as a decoder of transformers: the prompt sees itself, what is generated its past."""
    from transformers import DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import CausalLMOutputWithPast

    from nlpkit.core.task import Inputs
    from nlpkit.tasks.kgqa.codec import KEY_SEGMENT

    class Layers:
        def __init__(self, cache: Any):
            self.layer = lambda index: lambda key, value: cache.update(key, value, index)

    class Reader(PreTrainedModel, GenerationMixin):
        config_class = PretrainedConfig
        main_input_name = "input_ids"

        def __init__(self, config: Any):
            super().__init__(config)
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any, past_key_values: Any = None, **more: Any) -> Any:
            cache = DynamicCache() if past_key_values is None else past_key_values
            first = cache.get_seq_length() == 0
            size = input_ids.shape[1]
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, -size:]
            mask = attention_mask.bool()[:, None].expand(-1, size, -1)
            segments = torch.full_like(input_ids, 0 if first else KEY_SEGMENT)
            states = self.network(Inputs(input_ids, mask, segments, positions), Layers(cache))
            return CausalLMOutputWithPast(logits=self.network.generate(states[:, -1])[:, None], past_key_values=cache)

    config = PretrainedConfig(
        vocab_size=len(network.bias), num_hidden_layers=len(network.backbone.layers), is_decoder=True, use_cache=True
    )
    return Reader(config).eval()


def their_answers(reader: Any, trie: dict[int, Any], questions: list[Any], pad_id: int, sep_id: int) -> list[list[int]]:
    """The best key of each question, as tokens."""
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
            return list(node) or [pad_id]  # behind a finished beam, which counts no longer

        found = reader.generate(
            input_ids=ids, attention_mask=(torch.arange(size) >= torch.tensor([[size - len(r)] for r in rows])).long(),
            num_beams=BEAM, do_sample=False, max_new_tokens=LONGEST, length_penalty=0.0, renormalize_logits=True,
            prefix_allowed_tokens_fn=allowed, stopping_criteria=StoppingCriteriaList([Complete()]), pad_token_id=pad_id,
        )  # fmt: skip
        for row in found[:, size:].tolist():
            ends = [place for place, token in enumerate(row) if token == sep_id]
            answers.append(row[: ends[2] + 1] if len(ends) > 2 else row)
    return answers


def main(name: str = "kgqa", count: int = 128) -> None:
    """Runs both sides in turn."""
    from nlpkit.core.backbone import find_tokenizer
    from nlpkit.tasks.kgqa.build import build_graph
    from nlpkit.tasks.kgqa.codec import Question
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.search import beam_search
    from nlpkit.tasks.kgqa.task import load
    from nlpkit.tasks.kgqa.triples import TripleReader

    with tempfile.TemporaryDirectory() as temporary:
        triples = TripleReader().read([str(DATA / "kg" / "kgclue_graph.tsv.zst")])
        build_graph(triples, Path(temporary) / "g.kg", find_tokenizer(name))
        model = load(name, str(Path(temporary) / "g.kg"), "cpu", "fp32")
        tree, pad_id = model.task.graph.tree, model.tokenizer.pad_id
        texts = [e.text for e in read_examples([str(DATA / "kgclue" / "dev.json")], "kgclue")][: max(count, 1000)]
        questions = [Question.of(text, model.tokenizer, model.max_length) for text in texts]
        reader, trie = their_model(model.network, tree.sep_id), dict_trie(tree)
        few = questions[:count]

        def ours(asked: list[Any]) -> list[Any]:
            parts = [asked[start : start + BATCH] for start in range(0, len(asked), BATCH)]
            return [
                found
                for part in parts
                for found in beam_search(model.network, tree, part, BEAM, False, pad_id, wanted=1)
            ]

        model.network.eval()
        with torch.inference_mode():
            their_answers(reader, trie, questions[:4], pad_id, tree.sep_id)
            ours(questions[:4])
            theirs: list[list[int]] = []
            seconds = {"transformers": timed(lambda: theirs.extend(
                their_answers(reader, trie, few, pad_id, tree.sep_id)))}  # fmt: skip
            found: list[Any] = []
            seconds["nlpkit beam search"] = timed(lambda: found.extend(ours(few)))
        same = sum(tree.tokens(h[0].key).tolist() == answer for h, answer in zip(found, theirs, strict=True))
        model.predict(texts[:50])
        many = len(texts)
        whole = timed(lambda: model.predict(texts))
    speeds = {side: round(count / value, 2) for side, value in seconds.items()}
    speeds["nlpkit kgqa"] = round(many / whole, 1)
    base = speeds["transformers"]
    record(
        "kgqa_speed",
        {
            "questions": count,
            "graph": "kgclue_graph.tsv.zst, 715,721 triples",
            "model": name,
            "beam": BEAM,
            "batch": BATCH,
            "questions_per_second": speeds,
            "same_answers": same / count,
            "ratio": {side: round(speed / base, 2) for side, speed in speeds.items() if side != "transformers"},
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
