"""The entry point of the process."""

import os

import pytest


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_threads_do_not_spin_for_long_unless_told_to(monkeypatch, given, expected):
    from nlpkit import __main__ as entry

    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr(entry, "app", lambda prog_name: seen.append(os.environ.get("GOMP_SPINCOUNT")))
    entry.main()
    os.environ.pop("GOMP_SPINCOUNT", None)  # what main has set
    assert seen == [expected]
