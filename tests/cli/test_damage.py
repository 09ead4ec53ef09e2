"""Damaged and hostile artefacts: one error, never a traceback, a crash, a hang or a wrong answer."""

import io
import json
import os
import random
import shutil
import zlib

import numpy as np
import pytest
import torch
from damage import cuts, flips, outcome
from embed_support import save_embedder
from kgqa_support import TOKENIZER, TRIPLES, make_graph
from static_support import save_static, sentences
from support import SENTENCE, save_tiny, toy_records

from nlpkit.core.io import artefacts as artefact
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, NlpkitError
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.loading import load as load_embedder
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.ner.task import load as load_ner
from nlpkit.tasks.pretrain.corpus import build_corpus, open_corpus

torch.set_num_threads(1)
MANIFESTS = ("manifest.json", "index.json", "nlpkit.json")
FEW, MANY = 2, 40  # flips of each file
HARMLESS = ("unaffected", "clean error")
ODD = (None, True, 0, -1, 1.5, float("nan"), 10**15, 10**400, "", "x", "../../x", "/etc", [], {}, [[]], {"a": {}})


def everything(graph):
    return [list(graph.find(subject)) for subject, _, _ in TRIPLES], sorted(graph.triples())


@pytest.fixture
def graph(tmp_path):
    make_graph(tmp_path / "G.kg")
    return tmp_path / "G.kg"


@pytest.fixture
def index(nlpkit, tmp_path):
    (tmp_path / "c.txt").write_text("\n".join(sentences(30)), encoding="utf-8")
    model = save_static(tmp_path / "static")
    assert nlpkit("search", "build", "c.txt", "-q", "-o", "idx", "-m", model).exit_code == 0
    return tmp_path / "idx"


def artefacts(graph, index, tmp_path):
    """(folder, a probe that reads all of it) of each kind."""
    tiny, embedder = save_tiny(tmp_path / "ner"), save_embedder(tmp_path / "embed")
    queries = load_embedder(str(tmp_path / "static")).encode(sentences(3))

    def search():
        opened = Index.open(index)
        return [opened.results(hits) for hits in opened.search(queries, 3)]

    text = tmp_path / "t.txt"
    text.write_text("".join(f"{record['text']}\n" for record in toy_records(60)), encoding="utf-8")
    build_corpus([str(text)], TOKENIZER, tmp_path / "corpus", processes=1, on_error=ErrorPolicy("fail"))

    def corpus():
        found = open_corpus(tmp_path / "corpus", TOKENIZER)
        return found.tokens.tolist(), found.held_out.tolist()

    (generation,) = (path for path in graph.iterdir() if path.is_dir())
    return [
        (generation, lambda: everything(Graph.open(graph))),
        (graph, lambda: everything(Graph.open(graph))),
        (index, search),
        (tmp_path / "corpus", corpus),
        (tiny, lambda: load_ner(str(tiny), "cpu", "fp32").predict([SENTENCE])),
        (tmp_path / "static", lambda: load_embedder(str(tmp_path / "static")).encode([SENTENCE]).tolist()),
        (tmp_path / "embed", lambda: load_embedder(str(embedder), "cpu", "fp32").encode([SENTENCE]).tolist()),
    ]


def run(cases, damage, number):
    """What each case of damage does; the manifests' free fields may change without any effect on answers."""
    bad = []
    for folder, probe in cases:
        expected = probe()
        for path in sorted(path for path in folder.iterdir() if path.is_file() and path.stat().st_size):
            for what in damage(path, number):
                found = outcome(probe, expected)
                is_manifest = path.suffix == ".json" and found == "wrong"  # such as a threshold, as the manifest asks
                if found not in HARMLESS and not is_manifest:
                    bad.append((folder.name, what, found))
    return bad


def test_flipped_bits_and_cuts_are_errors(graph, index, tmp_path):
    cases = artefacts(graph, index, tmp_path)[:4]
    assert run(cases, flips, FEW) == []
    assert run(cases, cuts, 1) == []


@pytest.mark.slow
def test_many_flipped_bits_and_cuts_are_errors(graph, index, tmp_path):
    cases = artefacts(graph, index, tmp_path)
    assert run(cases, flips, MANY) == []
    assert run(cases, cuts, 5) == []


def test_without_checksums_bounds_guard_a_graph(graph, monkeypatch):
    """As for the large files of a large graph; the tries are always compared."""
    compare = artefact.Reader._compare
    monkeypatch.setattr(
        artefact.Reader, "_compare", lambda self, name, *more: name.endswith(".trie") and compare(self, name, *more)
    )
    (generation,) = (path for path in graph.iterdir() if path.is_dir())
    expected = everything(Graph.open(graph))

    def checked():
        Graph.open(graph).check()
        return everything(Graph.open(graph))

    for path in sorted(generation.iterdir()):
        for what in flips(path, FEW):
            assert outcome(lambda: everything(Graph.open(graph)), expected) in (*HARMLESS, "wrong"), what
            assert outcome(checked, expected) == "clean error", what


def mutations(value, chance, number):
    """Copies of a JSON value in which one field, at any depth, is another one."""
    places = []

    def walk(item, path):
        for key in item if isinstance(item, dict) else range(len(item)):
            places.append((*path, key))
            if isinstance(item[key], (dict, list)):
                walk(item[key], (*path, key))

    walk(value, ())
    for place in chance.sample(places, min(number, len(places))):
        for odd in (*ODD, "DELETE"):
            copy = json.loads(json.dumps(value))
            holder = copy
            for key in place[:-1]:
                holder = holder[key]
            if odd == "DELETE":
                del holder[place[-1]]
            else:
                holder[place[-1]] = odd
            yield place, odd, json.dumps(copy)


def said(probe):
    """What the error of a probe says; nothing where there is none."""
    try:
        probe()
    except NlpkitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("number", [6, pytest.param(1000, marks=pytest.mark.slow)])
def test_manifests_with_other_values(graph, index, tmp_path, number):
    chance = random.Random(3)
    for folder, probe in artefacts(graph, index, tmp_path)[1:]:
        (path,) = (folder / name for name in MANIFESTS if (folder / name).exists())
        whole = path.read_text(encoding="utf-8")
        for place, odd, text in mutations(json.loads(whole), chance, number):
            path.write_text(text, encoding="utf-8")
            message = said(probe)
            assert len(message.splitlines()) <= 1, (path, place, odd)
            assert len(message.replace(str(folder), "")) < 725, (path, place, odd)
        path.write_text(whole, encoding="utf-8")


def reseal(folder):
    """Makes the manifest of a graph fit its files again, as one who crafts a graph would."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name in manifest["files"]:
        entry = artefact.file_entry(folder / manifest["generation"] / name)
        manifest["files"][name] = {"bytes": entry.bytes, "sha256": entry.sha256, "crc32": entry.crc32}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder / manifest["generation"]


def refused(graph, subject="长江"):
    def read():
        opened = Graph.open(graph)
        opened.find(subject)
        opened.check()

    with pytest.raises(DataError) as caught:
        read()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_cycle_of_heavy_nodes(graph):
    generation = reseal(graph)
    children = np.load(generation / "heavy_children.npy")
    np.save(generation / "heavy_children.npy", np.zeros_like(children))
    reseal(graph)
    assert "does not lead down" in refused(graph)


def test_a_block_that_decompresses_without_bound(graph):
    generation = reseal(graph)
    packer = zlib.compressobj(9)  # of zeros that take twice the limit
    bomb = b"".join([packer.compress(bytes(1 << 24)) for _ in range(8)]) + packer.flush()
    np.save(generation / "objects.npy", np.frombuffer(bomb, np.uint8))
    np.save(generation / "object_blocks.npy", np.array([0, len(bomb)], dtype="<u8"))
    reseal(graph)
    assert "not a block of objects" in refused(graph)


@pytest.mark.parametrize("name", ["names.ids", "names.firsts", "key_predicates", "extra_rows", "odd_rows", "spellings"])
def test_arrays_of_other_types_and_shapes(graph, name):
    generation = reseal(graph)
    whole = np.load(generation / f"{name}.npy")
    others = (whole.astype(float), whole.reshape(1, *whole.shape), np.array([{}], dtype=object), whole.astype("<i8"))
    for other in others:
        np.save(generation / f"{name}.npy", other, allow_pickle=True)
        reseal(graph)
        refused(graph)
    for text in (b"", b"\x93NUMPY\x01\x00\x10\x00exit(           \n", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff"):
        (generation / f"{name}.npy").write_bytes(text)
        reseal(graph)
        refused(graph)


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": "../other.kg/12345678"},
        {"generation": "/etc"},
        {"files": {}},
        {"files": {"../../../../etc/passwd": {"bytes": 1, "sha256": ""}}},
        {"counts": {"triples": 10**15}},
        {"tokenizer": {}},
        {"format": "2"},
        {"sources": 5},
    ],
)
def test_the_manifest_of_a_graph_is_not_trusted(graph, changes):
    manifest = json.loads((graph / "manifest.json").read_text(encoding="utf-8"))
    (graph / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")
    refused(graph)


def archive():
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros((3, 2)))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", archive(), b"\x93NUMPY\x01\x00\x10\x00exit(           \n", b"\x93NUMPY\x09\x00\x10\x00", None, "fifo"],
)
def test_what_is_no_npy(fails, tmp_path, content):
    np.save(tmp_path / "good.npy", np.random.default_rng(0).normal(size=(9, 3)))
    bad = tmp_path / "bad.npy"
    if content == "fifo":
        os.mkfifo(bad)
    elif content is None:
        np.save(bad, np.array([[{}]], dtype=object), allow_pickle=True)
    else:
        bad.write_bytes(content)
    assert "bad.npy" in fails(1, "drift", "good.npy", "bad.npy")
    assert "bad.npy" in fails(1, "train", "whitening", "bad.npy", "-o", "w.safetensors", "-q")


def test_numbers_too_large_for_a_variance(fails, tmp_path):
    np.save(tmp_path / "v.npy", np.full((3, 2), 1e300) * [[1], [-1], [2]])
    assert "numbers too large for a variance" in fails(1, "drift", "v.npy", "v.npy")


@pytest.mark.parametrize("sidecar", ["[]", "5", '"x"', "[" * 100_000, '{"dim":"x"}', '{"whitening":5}', "{", "NaN"])
def test_a_broken_sidecar(fails, tmp_path, sidecar):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(9, 3)))
    (tmp_path / "v.npy.json").write_text(sidecar, encoding="utf-8")
    assert "v.npy.json: " in fails(1, "drift", "v.npy", "v.npy")
    assert "v.npy.json: " in fails(1, "train", "whitening", "v.npy", "-o", "w.safetensors", "-q")


def test_check_of_models_and_indexes(nlpkit, fails, tmp_path, index):
    model = save_tiny(tmp_path / "m")
    assert nlpkit("models", model, "--check").exit_code == 0
    assert nlpkit("search", "info", index, "--check").exit_code == 0
    for folder, command in ((model, ("models", model)), (index, ("search", "info", index))):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        for path in sorted(copy.iterdir()):
            if path.suffix != ".json":
                for _ in flips(path, 3):
                    assert "its checksum differs" in fails(1, *command[:-1], copy, "--check")
        shutil.rmtree(copy)
