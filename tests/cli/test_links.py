"""A link inside an artefact folder, which may have come from elsewhere, is never written through."""

import json
import shutil

import pytest
from embed_support import save_embedder
from kgqa_support import save_model
from static_support import save_static, sentences
from support import SENTENCE, save_tiny, toy_records, write_jsonl

PRECIOUS = "precious\n"
TRAIN = ("--epochs", 1, "--batch-size", 16, "--quiet")


@pytest.fixture
def victim(tmp_path):
    """A file outside of all artefacts, which must stay as it is."""
    path = tmp_path / "victim"
    path.write_text(PRECIOUS, encoding="utf-8")
    yield path
    assert path.read_text(encoding="utf-8") == PRECIOUS


def put_link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.fixture
def triples(tmp_path):
    (tmp_path / "t.tsv").write_text("长江\t长度\t6300公里\n黄河\t长度\t5464公里\n", encoding="utf-8")
    return "t.tsv"


@pytest.fixture
def graph(nlpkit, tmp_path, triples):
    model = save_model(tmp_path / "kgqa")
    assert nlpkit("graph", "build", "-q", "-o", "G.kg", "-m", model, triples).exit_code == 0
    return tmp_path / "G.kg"


def test_the_lock_of_a_graph(fails, graph, triples, victim):
    put_link(graph / ".lock", victim)
    assert ".lock: is a link or no regular file; remove it" in fails(1, "graph", "build", "--add", "-o", graph, triples)


def test_the_manifest_of_a_graph(nlpkit, graph, triples, victim):
    shutil.copy(graph / "manifest.json", victim.parent / "copy.json")
    put_link(graph / "manifest.json", victim)
    result = nlpkit("graph", "build", "-q", "-o", graph, "-m", graph.parent / "kgqa", triples)
    assert result.exit_code == 1
    assert "its manifest.json is not that of a graph" in result.stderr


def test_a_generation_or_a_file_of_a_graph_that_is_a_link(fails, graph):
    (generation,) = (path for path in graph.iterdir() if path.is_dir())
    shutil.move(generation / "names.trie", graph.parent / "names.trie")
    (generation / "names.trie").symlink_to(graph.parent / "names.trie")
    assert "names.trie: is a link that leads out of its folder" in fails(1, "graph", "get", graph, "长江")
    (generation / "names.trie").unlink()
    shutil.move(graph.parent / "names.trie", generation / "names.trie")
    shutil.move(generation, graph.parent / "elsewhere")
    generation.symlink_to(graph.parent / "elsewhere")
    assert "is a link; a generation is a folder" in fails(1, "graph", "get", graph, "长江")


def test_a_whitening_in_a_model_folder(nlpkit, tmp_path, victim):
    model = save_static(tmp_path / "m")
    put_link(tmp_path / "m/whitening.safetensors", victim)
    (tmp_path / "c.txt").write_text("\n".join(sentences(100)), encoding="utf-8")
    result = nlpkit("train", "whitening", "c.txt", "--model", model, "--output", model, "-q")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "m/whitening.safetensors").is_symlink()


def test_a_whitening_that_the_user_names_goes_where_the_link_leads(nlpkit, tmp_path):
    model = save_static(tmp_path / "m")
    (tmp_path / "c.txt").write_text("\n".join(sentences(100)), encoding="utf-8")
    put_link(tmp_path / "w.safetensors", tmp_path / "target")
    result = nlpkit("train", "whitening", "c.txt", "-m", model, "-o", "w.safetensors", "-q")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "w.safetensors").is_symlink()
    assert (tmp_path / "target").stat().st_size


@pytest.mark.parametrize("name", ["nlpkit.json", "vocab.txt", "model.safetensors", "training/log.jsonl", "training"])
def test_training_into_a_folder_of_links(nlpkit, tmp_path, victim, name):
    data = write_jsonl(tmp_path / "d.jsonl", toy_records(40))
    model = save_tiny(tmp_path / "m")
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copytree(model, tmp_path / "out")
    if name != "training":
        (tmp_path / "out/training").mkdir()
    put_link(tmp_path / "out" / name, outside if name == "training" else victim)
    result = nlpkit("train", "ner", data, "--dev", data, "-o", "out", "-m", model, *TRAIN)
    refused = name.startswith("training") or name == "nlpkit.json"
    assert result.exit_code == int(refused), result.output
    assert len(result.stderr.splitlines()) <= 1
    assert not list(outside.iterdir())
    if refused:
        assert "is a link or" in result.stderr or "its nlpkit.json is not that of a model" in result.stderr


@pytest.mark.parametrize("name", ["index.json", "vectors.npy", "records.jsonl", "offsets.npy", ".building"])
@pytest.mark.parametrize("building", [False, True])
def test_building_an_index_into_a_folder_of_links(nlpkit, tmp_path, victim, name, building):
    model = save_embedder(tmp_path / "m")
    (tmp_path / "c.txt").write_text(f"{SENTENCE}\n", encoding="utf-8")
    command = ("search", "build", "c.txt", "-q", "-o", "idx", "-m", model)
    assert nlpkit(*command).exit_code == 0
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "idx/.building" if building and name != ".building" else tmp_path / "idx"
    folder.mkdir(exist_ok=True)
    put_link(folder / name, outside if name == ".building" else victim)
    for more in ((), ("--resume",)):
        result = nlpkit(*command, *more)
        assert result.exit_code in (0, 1), result.output
        assert len(result.stderr.splitlines()) <= 1
        assert victim.read_text(encoding="utf-8") == PRECIOUS
        assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["tokens.bin", "held_out.bin", "manifest.json"])
def test_tokenising_a_corpus_into_a_folder_of_links(nlpkit, tmp_path, victim, name):
    (tmp_path / "t.txt").write_text("".join(f"{record['text']}\n" for record in toy_records(60)), encoding="utf-8")
    (tmp_path / "corpus").mkdir()
    put_link(tmp_path / "corpus" / name, victim)
    small = ("--config", "1x64", "--length", 32, "--batch-size", 8, "--tokens", 100, "-q", "--corpus", "corpus")
    result = nlpkit("pretrain", "t.txt", "-o", "out", *small)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_state_of_an_index_with_other_things_in_it(nlpkit, tmp_path):
    model = save_embedder(tmp_path / "m")
    (tmp_path / "c.txt").write_text(f"{SENTENCE}\n", encoding="utf-8")
    (tmp_path / "idx/.building").mkdir(parents=True)
    for value in ([], {"settings": 1}, {"settings": {}, "read": "1"}, {"settings": {}, "rows": -1}):
        (tmp_path / "idx/.building/state.json").write_text(json.dumps(value), encoding="utf-8")
        result = nlpkit("search", "build", "c.txt", "-q", "-o", "idx", "-m", model, "--resume")
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
