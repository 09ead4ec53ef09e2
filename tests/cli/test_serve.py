"""`nlpkit serve`: bad input is one line on stderr, with the cure, before anything listens."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from static_support import save_static
from support import environment, invoke

from nlpkit.core.text.tokenizer import SPECIALS

SECONDS = 60
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def refused(code, *arguments, before=(), folder=None, **variables):
    """Runs the command as a process, which must fail with one line; gives the line."""
    command = [*before, sys.executable, "-m", "nlpkit", "serve", "--port", "0", *arguments]
    done = subprocess.run(
        command, env=environment() | variables, cwd=folder, capture_output=True, encoding="utf-8", timeout=SECONDS
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("nlpkit: error: ")
    return line.removeprefix("nlpkit: error: ")


def built(*arguments):
    result = invoke(*map(str, arguments))
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with g.kg and idx, which are fine, with `embed-static` and `other`, and with some that are not fine."""
    made = tmp_path_factory.mktemp("serve")
    (made / "vocab.txt").write_text("".join(f"{token}\n" for token in (*SPECIALS, "甲", "乙")), encoding="utf-8")
    (made / "graph.tsv").write_text("甲\t乙\t甲\n", encoding="utf-8")
    (made / "corpus.txt").write_text("花呗\n", encoding="utf-8")
    built("graph", "build", made / "graph.tsv", "-o", made / "g.kg")
    built("graph", "build", made / "graph.tsv", "-o", made / "other.kg", "--model", made / "vocab.txt")
    for name, seed in (("m", 1), ("changed", 2), ("other", 3)):
        save_static(made / name, seed=seed)
    built("search", "build", made / "corpus.txt", "-o", made / "idx", "--model", made / "m")
    built("search", "build", made / "corpus.txt", "-o", made / "changed-idx", "--model", made / "changed")
    shutil.rmtree(made / "changed")
    shutil.copytree(made / "other", made / "changed")
    for name in ("g.kg", "idx"):
        shutil.copytree(made / name, made / f"cut-{name}")
        files = [path for path in (made / f"cut-{name}").rglob("*") if path.is_file() and path.suffix != ".json"]
        largest = max(files, key=lambda path: path.stat().st_size)
        os.truncate(largest, largest.stat().st_size - 1)
        shutil.copytree(made / name, made / f"empty-{name}")
        for path in (made / f"empty-{name}").glob("*.json"):
            path.write_text("{", encoding="utf-8")
    return made


CASES = [
    (["--task", "nothing"], 2, "--task nothing: no such task; one of ner, "),
    (["--task", "kgqa"], 2, "--task kgqa: needs a graph; name one with --graph"),
    (["--task", "kgqa", "--graph", "none.kg"], 1, "none.kg: no such "),
    (["--task", "kgqa", "--graph", "other.kg"], 1,
     "other.kg: was built with the tokenizer of another model; build it again with --model naming"),
    (["--task", "kgqa", "--graph", "cut-g.kg"], 1, "; build the graph again"),
    (["--task", "kgqa", "--graph", "empty-g.kg"], 1, "; build the graph again"),
    (["--task", "kgqa", "--graph", "idx"], 1, "idx: "),
    (["--task", "ner", "--graph", "g.kg"], 2, "--graph g.kg: kgqa is not served; add --task kgqa"),
    (["--task", "search"], 2, "--task search: needs an index; name one with --index"),
    (["--task", "search", "--index", "none"], 1, "none: no finished index there"),
    (["--task", "search", "--index", "changed-idx"], 1, "changed-idx: an index of another model ("),
    (["--task", "search", "--index", "idx", "--model", "embed=other"], 1, "idx: an index of another model ("),
    (["--task", "search", "--index", "cut-idx"], 1, "; build the index again"),
    (["--task", "search", "--index", "empty-idx"], 1, "; build the index again"),
    (["--task", "ner", "--index", "idx"], 2, "--index idx: search is not served; add --task search"),
    (["--task", "ner", "--model", "ner=none"], 1, "none: no such model"),
    (["--task", "ner", "--model", "ner=embed-static"], 1, "embed-static"),
    (["--model", "ner"], 2, "--model ner: is not TASK=NAME, such as ner=my-model"),
    (["--model", "nothing=m"], 2, "--task nothing: no such task"),
    (["--task", "ner", "--model", "embed=m"], 2, "--model embed=m: the task is not served; add --task embed"),
    (["--model", "search=m"], 2, "--model search=m: an index names its own model; leave it out"),
    (["--task", "ner", "--host", "203.0.113.7"], 1, "203.0.113.7:0: cannot listen on this address ("),
    (["--task", "ner", "--host", "no.host.invalid"], 1, "; choose another --host or --port"),
    (["--task", "ner", "--port", "65536"], 2, "'--port'"),
    (["--task", "ner", "--max-texts", "0"], 2, "--max-texts"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "message"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_bad_input_is_one_line(folder, arguments, code, message):
    assert message in refused(code, *arguments, folder=folder)


def test_a_port_in_use_is_one_line():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        line = refused(1, "--task", "classify", "--port", str(port))
    cure = "stop what listens there, or choose another --port"
    assert line == f"127.0.0.1:{port}: cannot listen on this address (Address already in use); {cure}"


def test_a_port_that_is_not_permitted_is_one_line():
    if not (UNPRIVILEGED.exists() and int(UNPRIVILEGED.read_text()) > 81 and shutil.which("setpriv")):
        pytest.skip("every port is permitted, or there is no setpriv")
    without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
    line = refused(1, "--task", "classify", "--port", "81", before=without if os.geteuid() == 0 else ())
    assert line == "127.0.0.1:81: cannot listen on this address (Permission denied); choose another --host or --port"


def test_the_extra_is_named_if_it_is_missing(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('uvicorn')\n")
    line = refused(2, "--task", "ner", PYTHONPATH=str(tmp_path))
    assert line == "the service is an extra; install it with: pip install 'nlpkit[serve]'"
