"""Python code in a model folder is never run and never asked about: stdin is the user's data."""

import json
import shutil
import subprocess
import sys

import pytest
from embed_support import save_embedder
from support import SENTENCE, environment, records, save_tiny, vocabulary

CODE = """
import pathlib
pathlib.Path({marker!r}).write_text("run")
from transformers import AutoConfig, PretrainedConfig
class Config(PretrainedConfig):
    model_type = "evil"
class Evil:
    config_class = Config
class Words:
    pass
"""
AUTO_MAP = {"AutoConfig": "m.Config", "AutoModel": "m.Evil", "AutoTokenizer": ["m.Words", None]}
ANSWERS = ("y\n", "1\n2\n")


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "run"


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def with_code(folder, marker, config):
    """A folder that asks transformers to run a Python file in it."""
    folder.mkdir(exist_ok=True)
    (folder / "m.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary(SENTENCE)), encoding="utf-8")
    write(folder / "config.json", {"auto_map": AUTO_MAP, **config})
    write(folder / "tokenizer_config.json", {"auto_map": AUTO_MAP, "tokenizer_class": "Words"})
    return folder


def bare(tmp_path, marker):
    return with_code(tmp_path / "bare", marker, {"model_type": "evil"})


def sentence_transformers(tmp_path, marker):
    folder = with_code(tmp_path / "st", marker, {"model_type": "evil"})
    write(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.Transformer"}])
    return folder


def ours(tmp_path, marker):
    """An nlpkit.json whose backbone names the folder's code; transformers has the config's type but no such model."""
    folder = save_tiny(tmp_path / "ours")
    manifest = json.loads((folder / "nlpkit.json").read_text(encoding="utf-8"))
    config = {"model_type": "aimv2_text_model", "name_or_path": str(folder), "auto_map": {"AutoModel": "m.Evil"}}
    write(folder / "nlpkit.json", manifest | {"backbone": {"type": "auto", "config": config}})
    (folder / "m.py").write_text(CODE.format(marker=str(marker)), encoding="utf-8")
    return folder


def refused(result, folder, marker):
    assert not marker.exists()
    assert result.exit_code == 1
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nlpkit: error: {folder}: ")
    assert "code" in line


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("make", [bare, sentence_transformers])
def test_a_published_folder_with_code(nlpkit, tmp_path, marker, make, answer):
    folder = make(tmp_path, marker)
    refused(nlpkit("embed", "-m", folder, "-q", text=answer), folder, marker)
    (tmp_path / "c.txt").write_text("今天\n", encoding="utf-8")
    refused(nlpkit("embed", "-m", folder, "-q", "c.txt", text=answer), folder, marker)


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_backbone_of_ours_that_names_code(nlpkit, tmp_path, marker, answer):
    folder = ours(tmp_path, marker)
    (tmp_path / "c.txt").write_text("今天\n", encoding="utf-8")
    refused(nlpkit("ner", "-m", folder, "-q", "c.txt", text=answer), folder, marker)
    refused(nlpkit("ner", "-m", folder, "-q", text=answer), folder, marker)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("make", [bare, sentence_transformers])
def test_an_index_that_names_a_folder_with_code(nlpkit, tmp_path, marker, make, answer):
    (tmp_path / "c.txt").write_text(f"{SENTENCE}\n王小明\n", encoding="utf-8")
    assert nlpkit("search", "build", "c.txt", "-q", "-o", "idx", "-m", save_embedder(tmp_path / "m")).exit_code == 0
    index = json.loads((tmp_path / "idx/index.json").read_text(encoding="utf-8"))
    folder = make(tmp_path, marker)
    write(tmp_path / "idx/index.json", index | {"embedder": index["embedder"] | {"model": str(folder)}})
    refused(nlpkit("search", "query", "idx", "-q", text=answer), folder, marker)


def test_a_process_with_an_open_stdin_does_not_wait(tmp_path, marker):
    folder = bare(tmp_path, marker)
    process = subprocess.Popen(
        [sys.executable, "-m", "nlpkit", "embed", "-q", "-m", folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        assert process.wait(60) == 1
        assert not process.stdout.read()
        assert not marker.exists()
        assert len(process.stderr.read().splitlines()) == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("answer", ["y\n今天\n", "1\n2\n"])
def test_code_beside_a_model_that_transformers_has_is_ignored(nlpkit, tmp_path, marker, answer):
    from transformers import BertConfig, BertModel

    folder = tmp_path / "bert"
    tokens = vocabulary(SENTENCE)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokens), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with_code(folder, marker, config | {"attn_implementation": "owner/kernel"})
    result = nlpkit("embed", "-m", folder, "-q", text=answer)
    assert result.exit_code == 0, result.stderr
    assert [record["text"] for record in records(result)] == answer.split()
    assert not marker.exists()
    shutil.rmtree(folder)
