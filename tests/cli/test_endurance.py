"""Long runs (slow, nightly): kills at random points with --resume, and memory over many lines."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import SENTENCE, environment

COMMAND = [sys.executable, "-m", "nlpkit"]
SLOW, NIGHTLY = pytest.mark.slow, pytest.mark.nightly
MAX_GROWN = 64  # MiB


def write_lines(path, count):
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            line = {"id": number, "text": f"{SENTENCE}第{number * 7919 % 100_003}号"}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".npy"])
@pytest.mark.parametrize("kills", [pytest.param(67, marks=SLOW), pytest.param(334, marks=NIGHTLY)])
def test_kills_at_random_points_lose_and_double_nothing(tmp_path, suffix, kills):
    """Three outputs: 200 kills, at night 1,000."""
    source, chance = write_lines(tmp_path / "in.jsonl", 150_000), random.Random(kills)
    command = [*COMMAND, "classify", source] if suffix != ".npy" else [*COMMAND, "embed", "-m", "embed-static", source]
    whole, output = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    begin = time.monotonic()
    subprocess.run([*command, "-o", whole, "-q"], env=environment(), check=True)
    seconds = time.monotonic() - begin
    killed = finished = 0
    while killed < kills:
        process = subprocess.Popen([*command, "-o", output, "-q", "--resume"], env=environment())
        try:
            assert process.wait(chance.uniform(0.2, max(1.0, seconds / 2))) == 0
            finished += 1
            assert output.read_bytes() == whole.read_bytes()
            output.unlink()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
            if output.exists():  # it had just finished
                assert output.read_bytes() == whole.read_bytes()
                output.unlink()
    subprocess.run([*command, "-o", output, "-q", "--resume"], env=environment(), check=True)
    assert output.read_bytes() == whole.read_bytes()
    assert finished or killed == kills
    assert [path.name for path in tmp_path.glob("*.partial*")] == []


def resident(process):
    """Resident memory in MiB; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc")  # noqa: PTH110
@pytest.mark.parametrize("lines", [pytest.param(1_000_000, marks=SLOW), pytest.param(10_000_000, marks=NIGHTLY)])
@pytest.mark.parametrize("task", ["ner", "embed"])
def test_memory_does_not_grow(tmp_path, tiny, task, lines):
    """The tiny model of `ner`, whose work is everything but the network, and `embed-static`."""
    source = write_lines(tmp_path / "in.jsonl", lines)
    model = tiny if task == "ner" else "embed-static"
    output = tmp_path / ("out.jsonl" if task == "ner" else "out.npy")
    process = subprocess.Popen([*COMMAND, task, source, "-m", model, "-q", "-o", output], env=environment())
    samples = []
    while process.poll() is None:
        samples.append(resident(process.pid))
        time.sleep(0.2)
    assert process.returncode == 0
    assert max(samples) - max(samples[: max(1, len(samples) // 10)]) <= MAX_GROWN
