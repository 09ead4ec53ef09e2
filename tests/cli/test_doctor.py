"""`nlpkit doctor`."""

from support import records

from nlpkit import __version__


def test_doctor(nlpkit):
    (report,) = records(nlpkit("doctor"))
    assert report["nlpkit"] == __version__
    assert report["device"]["auto"] in ("cpu", "cuda", "mps")
    assert report["precision"]["auto"] in ("float32", "bfloat16", "float16")
    assert report["precision"]["cpu_fp32_ms"] > 0
    assert report["precision"]["cpu_instructions"]
    assert {type(can) for can in report["precision"]["cpu_prepacking"].values()} == {bool}
    assert report["cores"]["usable"] >= 1
    assert {"cache", "offline"} <= set(report["hub"])
    assert {"torch", "transformers", "typer"} <= set(report["versions"])
