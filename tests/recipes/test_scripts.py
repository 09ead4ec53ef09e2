"""The recipes as scripts, from the first line to the last, on the beginnings of the data sets."""

import io
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import orjson
import pytest

pytestmark = [pytest.mark.data, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LINES = 40  # of a data set
LONG = 12_000  # of a part of the corpus; more than a pipe holds
# Those of ner sample fixed numbers of texts, and that of nlpkit-base needs a GPU.
RECIPES = ("embed-base", "embed-static", "event", "kgqa", "relation-duie", "sentiment")


def shortened(content, name):
    """The first lines of a data set; what is not made of lines stays as it is."""
    lines = content.splitlines(keepends=True)
    return content if name.endswith((".zst", ".csv")) else b"".join(lines[:LINES])


def training_set(path):
    """The training set in place of a dev set, so that both have the same labels; other files as they are."""
    beside = path.with_stem("train")
    return beside if path.stem == "dev" and beside.exists() else path


def add_archive(source, target):
    with tarfile.open(source) as old, tarfile.open(target, "w:xz", preset=0) as new:
        for member in old:
            content = old.extractfile(member)
            if content is not None:
                data = shortened(content.read(), member.name)
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="module")
def miniature(data, tmp_path_factory):
    """A folder like ../shared/data, with the beginnings of the files."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    for source in (path for path in data.rglob("*") if path.is_file()):
        target = folder / source.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.name.endswith(".tar.xz"):
            add_archive(source, target)
        elif source.suffix == ".xz":
            with lzma.open(source) as lines, lzma.open(target, "wb", preset=0) as kept:
                kept.writelines(line for line, _ in zip(lines, range(LONG), strict=False))
        elif source.suffix != ".bin":
            target.write_bytes(shortened(training_set(source).read_bytes(), source.name))
    dev = folder / "event" / "fewfc" / "dev.jsonl"  # other texts, as those of dev are left out of training
    dev.write_bytes(dev.read_bytes().replace(b'", "events"', b' ", "events"'))
    return folder


@pytest.fixture
def checkout(data, miniature, tmp_path):
    """The repository beside the miniature, with recipes of one epoch."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "data").symlink_to(miniature)
    (tmp_path / "shared" / "tools").symlink_to(data.parent / "tools")
    folder = tmp_path / "nlpkit"
    for name in ("recipes", "tests/bench"):
        shutil.copytree(ROOT / name, folder / name)
    for script in folder.glob("recipes/*/train.sh"):
        text = re.sub(r"--epochs \d+", "--epochs 1", script.read_text(encoding="utf-8"))
        text = re.sub(r"(--synthetic|words\.py|shuf .* -n) \d+", r"\1 40", text)
        script.write_text(text.replace("--dtype bf16", "--dtype fp32"), encoding="utf-8")  # slow on many CPUs
    (folder / "nlpkit").symlink_to(ROOT / "nlpkit")
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_a_model_of_the_shipped_kind(checkout, name):
    commands = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    script = checkout / "recipes" / name / "train.sh"
    done = subprocess.run(["bash", script, "../model"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    shipped = orjson.loads((ROOT / "nlpkit" / "models" / name / "nlpkit.json").read_bytes())
    made = orjson.loads((checkout.parent / "model" / "nlpkit.json").read_bytes())
    assert made["task"] == shipped["task"]
    kind = ("type", "num_layers", "hidden_size", "dim")
    assert [made["backbone"].get(key) for key in kind] == [shipped["backbone"].get(key) for key in kind]
