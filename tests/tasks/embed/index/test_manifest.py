"""The manifest of an index: read back as it was written; what is no manifest of a finished index."""

import json
import re

import pytest
from index_support import build, change, write

from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.manifest import BUILDING, FORMAT, MANIFEST, RECORDS, IndexManifest, read_manifest
from nlpkit.version import __version__

BM25 = {"analyzer": 1, "k1": 1.2, "b": 0.75, "terms": 1, "postings": 1}


@pytest.fixture
def folder(tmp_path, model):
    return build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model).folder


def test_it_says_what_is_in_the_folder(folder, model):
    manifest = read_manifest(folder)
    assert (manifest.count, manifest.dim, manifest.method, manifest.precision) == (3, 16, "exact", "float32")
    assert (manifest.version, manifest.format) == (__version__, FORMAT)
    assert manifest.embedder == {"model": model, "pooling": "auto", "whiten": None, "dim": None, "prompt": None}
    assert manifest.sources == [{"name": "c.txt", "size": 21}]
    assert {name: entry.bytes for name, entry in manifest.files.items()} == {
        path.name: path.stat().st_size for path in folder.iterdir() if path.name != MANIFEST
    }


def test_fields_that_were_added_later_have_defaults(folder):
    stored = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name in ("sources", "files", "version", "format"):
        del stored[name]
    (folder / MANIFEST).write_text(json.dumps(stored), encoding="utf-8")
    assert read_manifest(folder) == IndexManifest(**stored)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / MANIFEST).write_text("{"), "index.json: broken"),
        (lambda path: (path / MANIFEST).write_text("[" * 100_000), "index.json: is nested too deeply"),
        (change(count=14.0), "count must be a whole number, not 14.0"),
        (change(dim="16"), "dim must be a whole number, not a string"),
        (change(dim=0), "dim must be"),
        (change(format="1"), "format must be a whole number"),
        (change(identity=None), "identity must be an object, not null"),
        (change(identity={}), "no field identity.dim"),
        (change(embedder=[]), "embedder must be an object, not a list"),
        (change(method="guess"), "method must be one of exact, graph"),
        (change(precision="int8"), "precision must be one of float32, float16"),
        (change(sources=[{"name": 1, "size": 2}]), "sources[0].name must be a string"),
        (change(bm25={}), "no field bm25.analyzer"),
        (change(bm25=BM25 | {"k1": -1.0}), "bm25.k1 must be"),
        (change(bm25=BM25 | {"b": 1.5}), "bm25.b must be"),
        (change(bm25=BM25 | {"terms": "1"}), "bm25.terms must be a whole number, not a string"),
        (change(format=FORMAT + 1, version="9.9"), "made by nlpkit 9.9, newer than this one (0.1.0); upgrade nlpkit"),
    ],
)
def test_what_is_no_manifest(folder, damage, words):
    damage(folder)
    with pytest.raises(ModelError, match=re.escape(words)) as caught:
        read_manifest(folder)
    assert str(caught.value).startswith(str(folder))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (None, "make one: nlpkit search build"),
        ("photo.jpg", "make one: nlpkit search build"),
        (RECORDS, "is unfinished: go on with search build --resume"),
        (f"{BUILDING}/state.json", "is unfinished: go on with search build --resume"),
    ],
)
def test_a_folder_without_one(tmp_path, content, cure):
    folder = tmp_path / "idx"
    if content:
        (folder / content).parent.mkdir(parents=True)
        (folder / content).touch()
    with pytest.raises(ModelError) as caught:
        read_manifest(folder)
    assert str(caught.value) == f"{folder}: no finished index there; {cure}"
