"""What the fingerprint of a model's weights depends on."""

import pytest

from nlpkit.tasks.embed.encoder.fingerprint import SAMPLE, weights_fingerprint


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "model.safetensors", b"weights")
    write(tmp_path / "2_Dense" / "pytorch_model.bin", b"dense")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["model.safetensors", "2_Dense/pytorch_model.bin", "3_Dense/model.safetensors", "head.bin"]
)
def test_every_file_of_weights_counts(folder, name):
    before = weights_fingerprint(folder)
    write(folder / name, b"changed")
    assert weights_fingerprint(folder) != before


@pytest.mark.parametrize(
    "name", ["whitening.safetensors", "training/model.safetensors", "vocab.txt", "nlpkit.json", "a/training/b.bin"]
)
def test_other_files_do_not(folder, name):
    before = weights_fingerprint(folder)
    write(folder / name, b"new")
    assert weights_fingerprint(folder) == before


def test_the_place_of_the_folder_does_not_count(folder, tmp_path_factory):
    """Not even one that is called `training`."""
    moved = tmp_path_factory.mktemp("x") / "training" / "m"
    for path in folder.rglob("*.*"):
        if path.is_file():
            write(moved / path.relative_to(folder), path.read_bytes())
    assert weights_fingerprint(moved) == weights_fingerprint(folder)


@pytest.mark.parametrize("place", [0, SAMPLE - 1, 2 * SAMPLE + 5, 3 * SAMPLE - 1])
def test_both_ends_and_the_size_of_a_large_file_count(tmp_path, place):
    content = bytearray(3 * SAMPLE)
    path = write(tmp_path / "model.safetensors", content)
    before = weights_fingerprint(tmp_path)
    content[place] ^= 1
    write(path, content)
    assert weights_fingerprint(tmp_path) != before
    content[place] ^= 1
    write(path, content + b"\0")
    assert weights_fingerprint(tmp_path) != before
