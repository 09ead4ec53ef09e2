"""`nlpkit serve`: bad input is one line before anything listens."""

import builtins

import pytest


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
        (["--task", "ner", "--host", "203.0.113.7"], 1, "203.0.113.7:0: cannot be listened at"),
        (["--task", "ner", "--max-texts", "0"], 2, "--max-texts"),
    ],
)
def test_bad_input_is_one_line(fails, arguments, code, message):
    assert message in fails(code, "serve", "--port", "0", *arguments)


def test_the_extra_is_named_if_it_is_missing(fails, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "uvicorn":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert fails(2, "serve", "--task", "ner") == "the service is an extra; install it with: pip install 'nlpkit[serve]'"
