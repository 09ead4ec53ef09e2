"""Outputs that are not continued or not written, and what is kept of them: other jobs, damage, locks, full disks."""

import errno
import json
import os
from dataclasses import replace

import pytest
from pipeline_support import JOB, InterruptedRunError, listed, made, numbered, to_lines, write

from nlpkit.core.pipeline import journal
from nlpkit.core.pipeline.journal import Journal
from nlpkit.errors import OutputError, UsageError

RECORDS = numbered(9)
PARTIAL = ["out.partial", "out.partial.json"]


@pytest.fixture
def unfinished(tmp_path):
    """The path of an output of which six records are done."""
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out", RECORDS, stop=3)
    return tmp_path / "out"


def contents(path):
    """What is in the folder of an output, by name."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def refused(path, error, records=RECORDS, **options):
    """The message of a run that is refused and changes nothing."""
    before = contents(path)
    with pytest.raises(error) as found:
        write(path, records, **options)
    assert contents(path) == before
    assert "\n" not in str(found.value)
    return str(found.value)


def changed(index, **changes):
    """The records with another one at an index."""
    return [replace(record, **changes) if number == index else record for number, record in enumerate(RECORDS)]


@pytest.mark.parametrize(
    "records",
    [
        changed(5, text="别的"),
        changed(0, fields={"text": "第1行", "id": 1}),
        changed(2, second="别的"),
        RECORDS[1:],
        RECORDS[:5],
        [],
        made(["x"] * 9),
    ],
)
def test_another_input_is_refused(unfinished, records):
    message = refused(unfinished, UsageError, records, resume=True, report=pytest.fail)
    cure = "give what it was started with, or remove it to start again"
    assert message == f"--resume: {unfinished}.partial is of a run that differs in input; {cure}"


def test_another_rest_of_the_input_is_no_other_job(unfinished):
    """As for a log file that has grown: the records that are done are the same."""
    records = [*RECORDS[:6], *made(["新"])]
    write(unfinished, records, resume=True)
    assert unfinished.read_bytes() == to_lines(records).data


@pytest.mark.parametrize(
    ("job", "names"),
    [
        (JOB | {"--labels": ["a"]}, "--labels"),
        (JOB | {"--nest": "nlp"}, "--nest"),
        ({"command": "ner"}, "--labels, --model"),
        ({**JOB, "command": "event", "content of --model": "1f"}, "command, content of --model"),
    ],
)
def test_another_job_is_refused_by_what_differs(unfinished, job, names):
    message = refused(unfinished, UsageError, job=job, resume=True)
    assert f"{unfinished}.partial is of a run that differs in {names}; " in message


def test_a_job_may_have_any_values_that_json_has(tmp_path):
    job = {"tuple": (1, 2), "path": "\udcff", "number": 0.5, "none": None}
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out", RECORDS, stop=3, job=job)
    write(tmp_path / "out", RECORDS, resume=True, job=job)
    assert (tmp_path / "out").read_bytes() == to_lines(RECORDS).data


def test_an_unfinished_output_is_not_overwritten(unfinished):
    message = refused(unfinished, OutputError)
    done = "has 6 records of an unfinished run"
    assert message == f"{unfinished}.partial: {done}; continue it with --resume, or remove it"


def test_a_finished_output_is_not_continued(tmp_path):
    write(tmp_path / "out", RECORDS)
    message = refused(tmp_path / "out", OutputError, resume=True)
    assert f"{tmp_path / 'out'}: is finished, or not an output of nlpkit: there is no {tmp_path}/out.partial" in message
    assert message.endswith("; leave out --resume to write it again")


@pytest.mark.parametrize("resume", [True, False])
def test_a_partial_file_of_another_program_is_kept(tmp_path, resume):
    (tmp_path / "out.partial").write_text("mine")
    message = refused(tmp_path / "out", OutputError, resume=resume)
    assert message.startswith(f"{tmp_path}/out.partial: is not an unfinished output of nlpkit")


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-20],
        lambda content: b"\xff" + content,
        lambda content: b"[]",
        lambda content: b"[" * 9999,
        lambda content: content.replace(b'"records": 6', b'"records": "6"'),
        lambda content: content.replace(b'"records": 6', b'"records": -6'),
        lambda content: content.replace(b'"bytes": ', b'"bytes": 1.5, "x": '),
        lambda content: content.replace(b'"job": {', b'"job": 7, "x": {'),
        lambda content: content.replace(b'"counts": {', b'"counts": [], "x": {'),
        lambda content: json.dumps({"job": {}, "counts": {"count": "many"}}).encode(),
    ],
)
def test_a_damaged_state_is_one_line(unfinished, damage, resume):
    path = unfinished.with_name("out.partial.json")
    content = path.read_bytes()
    assert damage(content) != content
    path.write_bytes(damage(content))
    message = refused(unfinished, OutputError, resume=resume)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; remove it and the file without .json to start again")


def test_a_partial_file_that_is_too_short(unfinished):
    path = unfinished.with_name("out.partial")
    path.write_bytes(path.read_bytes()[:-1])
    message = refused(unfinished, OutputError, resume=True)
    assert message == f"{path}: is shorter than {path}.json says; remove both to start again"


def test_a_state_that_is_a_link_out_of_the_folder(unfinished, tmp_path_factory):
    path = unfinished.with_name("out.partial.json")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "state"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert "is a link that leads out of its folder" in refused(unfinished, OutputError, resume=True)


def overtaken(first, path):
    """A run whose output another one saves first."""
    with Journal(path, lambda: JOB, save_every=0.0) as second:
        first.write(RECORDS[:4], to_lines(RECORDS[:4]))
        second.write(RECORDS[:4], to_lines(RECORDS[:4]))


def test_two_processes_do_not_write_the_same_output(tmp_path):
    path = tmp_path / "out"
    message = f"{path}.partial: is being written by another process; wait for it, or name another output"
    with Journal(path, lambda: JOB, save_every=0.0) as first:
        with pytest.raises(OutputError) as found:
            overtaken(first, path)
        assert str(found.value) == message
        assert refused(path, OutputError, resume=True) == message
        assert "has 4 records of an unfinished run" in refused(path, OutputError)
        first.write(RECORDS[4:], to_lines(RECORDS[4:]))
    assert listed(tmp_path) == ["out"]
    assert path.read_bytes() == to_lines(RECORDS).data


@pytest.fixture
def full(monkeypatch):
    """Makes the disk full from a number of calls of a function on: (module, name, number)."""

    def make(module, name, number):
        function, calls = getattr(module, name), []

        def fail(*args, **options):
            calls.append(args)
            if len(calls) > number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **options)

        monkeypatch.setattr(module, name, fail)

    return make


FULL = "cannot be written (No space left on device); free some space"


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (journal, "write_json_inside")])
def test_what_is_saved_survives_a_full_disk(tmp_path, full, monkeypatch, module, name):
    messages = []
    full(module, name, 2 if module is journal else 6)  # three for each saving: the data, its state, the folder
    with pytest.raises(OutputError) as found:
        write(tmp_path / "out", RECORDS, report=messages.append)
    assert str(found.value) == f"{tmp_path / 'out'}: {FULL}"
    assert listed(tmp_path) == PARTIAL
    assert messages == [f"hint: 4 records are in {tmp_path}/out.partial; continue with --resume"]
    monkeypatch.undo()
    write(tmp_path / "out", RECORDS, resume=True)
    assert (tmp_path / "out").read_bytes() == to_lines(RECORDS).data


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (journal, "write_json_inside")])
def test_a_disk_that_is_full_at_the_first_saving_leaves_nothing(tmp_path, full, module, name):
    messages = []
    full(module, name, 0)
    with pytest.raises(OutputError, match="No space left on device"):
        write(tmp_path / "out", RECORDS, report=messages.append)
    assert (listed(tmp_path), messages) == ([], [])


def test_a_first_saving_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    """Between its two steps."""

    def interrupt(path, value, *, durable):
        written(path, value, durable=durable)
        assert path.exists()
        raise KeyboardInterrupt

    written = journal.write_json_inside
    monkeypatch.setattr(journal, "write_json_inside", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", RECORDS, report=pytest.fail)
    assert listed(tmp_path) == []


def test_a_disk_that_is_full_at_the_end_can_be_continued_from(tmp_path, full, monkeypatch):
    messages = []
    full(journal, "sync", 0)
    with pytest.raises(OutputError) as found:
        write(tmp_path / "out", RECORDS, report=messages.append)
    assert str(found.value) == f"{tmp_path / 'out'}: {FULL}"
    assert listed(tmp_path) == PARTIAL
    assert messages == [f"hint: 9 records are in {tmp_path}/out.partial; continue with --resume"]
    monkeypatch.undo()
    write(tmp_path / "out", RECORDS, resume=True)
    assert (tmp_path / "out").read_bytes() == to_lines(RECORDS).data


def test_a_disk_that_is_full_for_the_data(tmp_path):
    """As on a real one: the write itself fails, in the middle of the data."""
    resource = pytest.importorskip("resource")
    limits, records = resource.getrlimit(resource.RLIMIT_FSIZE), numbered(3000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"out: cannot be written \(File too large\)"):
            write(tmp_path / "out", records, size=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert listed(tmp_path) == PARTIAL
    write(tmp_path / "out", records, size=100, resume=True)
    assert (tmp_path / "out").read_bytes() == to_lines(records).data


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/out", "there is no folder"),
        ("out.zip", ".zip is not written"),
        ("file/out", "Not a directory"),
        ("n" * 256, "File name too long"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as found:
        write(tmp_path / name, RECORDS)
    assert message in str(found.value)
    assert listed(tmp_path) == ["file"]
