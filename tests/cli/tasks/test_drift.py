"""`nlpkit drift`, as users call it."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from static_support import save_static, sentences
from support import records


def gaussian(seed, dim, number=400, spread=1.0):
    random = np.random.default_rng(seed)
    return random.standard_normal((number, dim)) @ random.standard_normal((dim, dim)) * spread + random.standard_normal(
        dim
    )


@pytest.fixture
def embedded(nlpkit, tmp_path):
    """Vectors of two corpora."""
    model = save_static(tmp_path / "model")
    for name, texts in (("a", sentences(200)), ("b", [text + "花呗还款" for text in sentences(150, seed=1)])):
        (tmp_path / f"{name}.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        assert nlpkit("embed", f"{name}.txt", "-m", model, "-o", f"{name}.npy", "-q").exit_code == 0
    return tmp_path


def test_drift(nlpkit, embedded):
    result = nlpkit("drift", "a.npy", "b.npy", "--html", "page.html")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    (found,) = records(result)
    assert (found["a"], found["b"], found["dim"], found["shrinkage"]) == (200, 150, 16, 0.001)
    assert min(found[name] for name in ("kl", "kl_reverse", "bhattacharyya", "w2", "mean_distance")) > 0.01
    page = (embedded / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("</svg>") == 1
    assert f"{found['w2']:,g}" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    (same,) = records(nlpkit("drift", "a.npy", "a.npy"))
    assert same["w2"] < 1e-4 < found["w2"]


def test_few_vectors_are_said_to_be(nlpkit, tmp_path):
    np.save(tmp_path / "few.npy", gaussian(0, 8)[:5])
    np.save(tmp_path / "many.npy", gaussian(1, 8))
    result = nlpkit("drift", "few.npy", "many.npy")
    assert result.exit_code == 0
    assert result.stderr.startswith("nlpkit: warning: few.npy: only 5 vectors for 8 dimensions: ")
    assert len(result.stderr.splitlines()) == 1


def test_svg(nlpkit, embedded):
    assert nlpkit("drift", "a.npy", "b.npy", "--html", "plot.svg", "-o", "found.json").exit_code == 0
    root = ElementTree.parse(embedded / "plot.svg").getroot()
    names = [element.tag.split("}")[1] for element in root]
    assert (names.count("path"), names.count("ellipse"), names.count("text")) == (2, 2, 3)
    assert root[0].attrib["d"].count("M") == 200
    assert json.loads((embedded / "found.json").read_text())["dim"] == 16


def test_vectors_of_another_model(nlpkit, fails, embedded):
    other = save_static(embedded / "other", seed=9)
    assert nlpkit("embed", "a.txt", "-m", other, "-o", "c.npy", "-q").exit_code == 0
    assert "another model" in fails(1, "drift", "a.npy", "c.npy")


@pytest.mark.parametrize("arguments", [["no.npy", "a.npy"], ["a.npy", "a.txt"], ["a.npy", "a.npy.json"]])
def test_what_is_no_file_of_vectors(fails, embedded, arguments):
    message = fails(1, "drift", *arguments)
    assert message.split(":")[0] in arguments
