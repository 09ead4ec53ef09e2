"""What the tests of search indexes share: building one, and the content of its files."""

import json
from pathlib import Path

from nlpkit.tasks.embed.index.build import BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.postings import BM25_FILES
from nlpkit.tasks.embed.loading import load

FILES = ("index.json", "vectors.npy", "records.jsonl", "offsets.npy", *BM25_FILES)


def arguments(model):
    return {"model": model, "pooling": "auto", "whiten": None, "dim": None, "prompt": None}


def build(folder, paths, model, *, embedding=None, finishing=None, **settings):
    """Build an index; give it opened. `embedding` and `finishing` are tunables of the two steps."""
    paths = [str(path) for path in paths]
    embed_texts(paths, load(model), folder, BuildSettings(**settings), **embedding or {})
    finalize(folder, arguments(model), **finishing or {})
    return Index.open(folder)


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def files_of(folder):
    """The files of an index, without the HNSW graph, which differs from build to build."""
    found = {name: (Path(folder) / name).read_bytes() for name in FILES}
    manifest = json.loads(found["index.json"])
    manifest["files"].pop("graph.usearch", None)
    return {**found, "index.json": manifest}


def change(**fields):
    """Return a function that changes fields of the manifest in a folder."""

    def damage(path):
        manifest = json.loads((path / "index.json").read_text(encoding="utf-8"))
        (path / "index.json").write_text(json.dumps(manifest | fields), encoding="utf-8")

    return damage
