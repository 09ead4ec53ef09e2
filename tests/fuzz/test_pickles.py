"""No file can run code: what is pickled is refused by every reader, under every name that is read."""

import ast
import gzip
import io
import pickle
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz.campaign import Cases
from fuzz.readers import READERS

from nlpkit.errors import NlpkitError

CODE = Path(__file__).parents[2] / "nlpkit"
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
# Calls that run what is in a file, and the keyword with which they do not.
DANGEROUS = {
    "pickle.load": None, "pickle.loads": None, "pickle.Unpickler": None, "joblib.load": None, "dill.load": None,
    "marshal.load": None, "marshal.loads": None, "shelve.open": None, "yaml.load": None, "exec": None, "eval": None,
    "torch.jit.load": None, "runpy.run_path": None, "torch.load": ("weights_only", True),
}  # fmt: skip
REFUSED = (".npy", ".safetensors", ".bin", ".dict", ".trie", ".usearch")
PARTLY = ("vocabulary", "index build")  # they do not read all files that are there


class Evil:
    """Makes a file once it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


def saved(value, **options):
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def payloads(marker):
    """Name → the bytes of a file that makes another one once it is unpickled."""
    evil = Evil(marker)
    found = {f"protocol {number}": pickle.dumps(evil, number) for number in PROTOCOLS}
    array = np.array([evil, evil], dtype=object)
    for version in ((1, 0), (2, 0), (3, 0)):
        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.lib.format.write_array(stream, array, version, allow_pickle=True)
        found[f"npy {version[0]}"] = stream.getvalue()
    stream = io.BytesIO()
    np.savez(stream, array, allow_pickle=True)
    found["npz"] = stream.getvalue()
    found["torch zip"] = saved({"embeddings.weight": evil})
    found["torch tensors and more"] = saved({"embeddings.weight": torch.zeros(2, 2), "x": evil})
    found["torch old"] = saved({"embeddings.weight": evil}, _use_new_zipfile_serialization=False)
    found["joblib"] = zlib.compress(pickle.dumps(evil))
    found["gzip"] = gzip.compress(pickle.dumps(evil))
    return found


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "run"


def test_a_payload_runs_where_it_is_unpickled(marker):
    """Otherwise the other tests would show nothing."""
    for name, content in payloads(marker).items():
        if name.startswith("protocol"):
            pickle.loads(content).close()
        elif name.startswith("np"):
            loaded = np.load(io.BytesIO(content), allow_pickle=True)
            (loaded["arr_0"] if name == "npz" else loaded)[0].close()
        elif name.startswith("torch"):
            for value in torch.load(io.BytesIO(content), weights_only=False).values():
                isinstance(value, torch.Tensor) or value.close()
        else:
            pickle.loads((zlib if name == "joblib" else gzip).decompress(content)).close()
        assert marker.exists(), name
        marker.unlink()


def said(cases):
    """What the error of a reader says; nothing if there is none."""
    try:
        cases.reader.use(cases.folder)
    except NlpkitError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_runs_it(tmp_path, marker, reader):
    cases = Cases(READERS[reader], tmp_path / "files")
    many = len(cases.whole) > 8  # then each file is a third of the payloads, in turn
    for place, path in enumerate(cases.whole):
        for number, (name, content) in enumerate(payloads(marker).items()):
            if many and (place + number) % 3:
                continue
            path.unlink()
            path.write_bytes(content)
            changed = [path, *(cases.reader.reseal(cases.folder, [path]) if cases.reader.reseal else ())]
            message = said(cases)
            assert not marker.exists(), (path.name, name)
            assert len(message.splitlines()) <= 1, (path.name, name)
            if path.suffix in REFUSED and reader not in PARTLY:
                assert message, (path.name, name)
            cases.restore(changed)


def test_weights_in_the_format_of_torch_are_read_as_tensors_alone(tmp_path, marker):
    """pytorch_model.bin is read by an unpickler that knows tensors only; see `core.model.pretrained`."""
    cases = Cases(READERS["hugging face bin"], tmp_path / "files")
    cases.reader.use(cases.folder)
    path = cases.folder / "pytorch_model.bin"
    for name, content in payloads(marker).items():
        path.write_bytes(content)
        with pytest.raises(NlpkitError, match=r"cannot be read|cannot load it"):
            cases.reader.use(cases.folder)
        assert not marker.exists(), name


def _called(node):
    """Return the dotted name of a called function."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "?", *reversed(parts)])


def test_no_module_can_run_what_is_in_a_file():
    found = []
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            options = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            name, where = _called(node.func), f"{path.relative_to(CODE)}:{node.lineno}"
            if options.get("allow_pickle") or options.get("trust_remote_code"):
                found.append(where)
            if name in DANGEROUS and (safe := DANGEROUS[name]) not in options.items():
                found.append(f"{where} {name} without {safe}")
    assert found == []
