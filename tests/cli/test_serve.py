"""`nlpkit serve`: bad input is one line before anything listens."""

import builtins
from pathlib import Path

import pytest
from static_support import save_static

from nlpkit.core.text.tokenizer import SPECIALS


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--task", "nothing"], 2, "--task nothing: no such task; one of ner, "),
        (["--task", "kgqa"], 2, "--task kgqa: needs a graph; name one with --graph"),
        (["--task", "kgqa", "--graph", "none.kg"], 1, "none.kg"),
        (["--task", "search"], 2, "--task search: needs an index; name one with --index"),
        (["--task", "search", "--index", "none"], 1, "none: no finished index there"),
        (["--task", "ner", "--model", "ner=none"], 1, "none: no such model"),
        (["--model", "ner"], 2, "--model ner: is not TASK=NAME, such as ner=my-model"),
        (["--task", "ner", "--model", "embed=m"], 2, "--model embed=m: the task is not served; add --task embed"),
        (["--model", "search=m"], 2, "--model search=m: an index names its own model; leave it out"),
        (["--task", "ner", "--host", "203.0.113.7"], 1, "203.0.113.7:0: cannot be listened at"),
        (["--task", "ner", "--host", "no.host.invalid"], 1, "; choose another --host or --port"),
        (["--task", "ner", "--max-texts", "0"], 2, "--max-texts"),
    ],
)
def test_bad_input_is_one_line(fails, arguments, code, message):
    assert message in fails(code, "serve", "--port", "0", *arguments)


def test_a_graph_for_another_tokenizer_is_one_line(nlpkit, fails):
    Path("vocab.txt").write_text("".join(f"{token}\n" for token in (*SPECIALS, "甲", "乙")), encoding="utf-8")
    Path("graph.tsv").write_text("甲\t乙\t甲\n", encoding="utf-8")
    assert nlpkit("graph", "build", "graph.tsv", "-o", "g.kg", "--model", "vocab.txt").exit_code == 0
    line = fails(1, "serve", "--port", "0", "--task", "kgqa", "--graph", "g.kg")
    assert line.startswith("g.kg: was built with the tokenizer of another model; build it again with --model naming")


def test_an_index_of_another_model_is_one_line(nlpkit, fails, tmp_path):
    first, second = (save_static(tmp_path / name, seed=seed) for name, seed in (("m", 1), ("other", 2)))
    Path("corpus.txt").write_text("花呗\n", encoding="utf-8")
    assert nlpkit("search", "build", "corpus.txt", "-o", "idx", "--model", first).exit_code == 0
    for path in Path(second).iterdir():
        path.replace(Path(first) / path.name)
    line = fails(1, "serve", "--port", "0", "--task", "search", "--index", "idx")
    assert line.startswith("idx: an index of another model")


def test_the_extra_is_named_if_it_is_missing(fails, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "uvicorn":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert fails(2, "serve", "--task", "ner") == "the service is an extra; install it with: pip install 'nlpkit[serve]'"
