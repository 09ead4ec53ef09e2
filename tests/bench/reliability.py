r"""What is lost when something fails: faults on real commands, and how much memory long runs take.

    python tests/bench/reliability.py WORK faults          # signals, a full disk, bad records, damaged models …
    python tests/bench/reliability.py WORK kills [N]       # kill -9 at random points, N times (200)
    python tests/bench/reliability.py WORK ray             # lost actors and workers; one and two actors
    python tests/bench/reliability.py WORK soak [LINES]    # memory over LINES lines (1,000,000)
    python tests/bench/reliability.py WORK workers         # one process with two threads against two workers

Each action replaces its part of `results/reliability.json`. Every record of the input has an `id`, by which lost and
doubled records are counted; `same bytes` compares with an unbroken run.
"""

import json
import lzma
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from common import DATA, RESULTS, record

NLPKIT = [sys.executable, "-m", "nlpkit"]
ENVIRONMENT = {**os.environ, "NLPKIT_LANG": "en", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
FAST = ["classify"]  # the embedded model, of n-grams
KILLED = {  # command → lines of its input
    "classify": 400_000, "embed --model embed-static --format npy": 200_000, "ner": 6_000, "classify .gz": 400_000,
}  # fmt: skip


def lines() -> Iterator[str]:
    """Lines of the corpus that are not blank, over and over."""
    while True:
        for path in sorted((DATA / "corpus").glob("*.txt.xz")):
            with lzma.open(path, "rt", encoding="utf-8") as stream:
                yield from (line.strip()[:400] for line in stream if line.strip())


def corpus(work: Path, count: int) -> Path:
    """A file of JSON Lines with `id` and `text`."""
    path = work / f"lines-{count}.jsonl"
    if not path.exists():
        with path.open("w", encoding="utf-8") as stream:
            for number, text in enumerate(islice(lines(), count)):
                stream.write(json.dumps({"id": number, "text": text}, ensure_ascii=False) + "\n")
    return path


def run(*args: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A command to its end."""
    return subprocess.run([*NLPKIT, *map(str, args)], capture_output=True, env=ENVIRONMENT, check=False, **options)


def ids(path: Path) -> list[int]:
    """The identifiers in an output."""
    return [json.loads(line)["id"] for line in path.open(encoding="utf-8")]


def losses(expected: range | list[int], found: list[int]) -> dict[str, int]:
    """Numbers of lost and doubled records."""
    counts = Counter(found)
    lost = sum(1 for number in expected if not counts[number])
    return {"lost": lost, "doubled": sum(count - 1 for count in counts.values() if count > 1)}


def merge(part: str, value: Any) -> None:
    """Replace a part of the results."""
    path = RESULTS / "reliability.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {name: old[name] for name in ("faults", "kills", "ray", "soak", "workers") if name in old}
    record("reliability", known | {part: value})


def killed(work: Path, command: str, count: int, kills: int, number: int = signal.SIGKILL) -> dict[str, Any]:
    """A command that gets a signal at random times, with --resume until it has had `kills` of them."""
    source, chance = corpus(work, count), random.Random(kills)
    name, *options = command.split()
    suffix = ".jsonl.gz" if options == [".gz"] else ".npy" if "npy" in options else ".jsonl"
    options = [] if options == [".gz"] else options
    arguments = [name, source, "--field", "text", *options, "-q"]
    whole, output = work / f"whole{suffix}", work / f"resumed{suffix}"
    for path in (whole, output, work / f"resumed{suffix}.partial", work / f"resumed{suffix}.partial.json"):
        path.unlink(missing_ok=True)
    begin = time.monotonic()
    assert run(*arguments, "-o", whole).returncode == 0
    seconds = time.monotonic() - begin
    done = saved = runs = 0
    begin = time.monotonic()
    while done < kills:
        runs += 1
        process = subprocess.Popen(
            [*NLPKIT, *map(str, arguments), "-o", str(output), "--resume"], env=ENVIRONMENT, stderr=subprocess.PIPE
        )
        try:
            process.wait(chance.uniform(0.2, max(1.0, seconds / 3)))
            message = process.stderr.read().decode() if process.stderr else ""
            assert process.returncode == 0, message
            assert output.read_bytes() == whole.read_bytes()
            output.unlink()  # and begin again
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            process.wait()
            done += 1
            if output.exists():  # it had just finished
                assert output.read_bytes() == whole.read_bytes()
                output.unlink()
            saved += (work / f"resumed{suffix}.partial.json").exists()
        finally:
            if process.stderr:
                process.stderr.close()
    assert run(*arguments, "-o", output, "--resume").returncode == 0
    same = output.read_bytes() == whole.read_bytes()
    found = ids(output) if suffix == ".jsonl" else list(range(count)) if same else []
    return {
        "command": command, "records": count, "kills": done, "with_saved_progress": saved, "runs": runs,
        "seconds": round(time.monotonic() - begin), "unbroken_seconds": round(seconds, 1), "same_bytes": same,
        **losses(range(count), found),
    }  # fmt: skip


def faults(work: Path) -> list[dict[str, Any]]:
    """Each fault once, with what the command says."""
    return [
        terminated(work), full_disk(work), closed_pipe(work), bad_records(work), no_memory(work), damaged_model(work),
    ]  # fmt: skip


def terminated(work: Path) -> dict[str, Any]:
    """SIGTERM, as from a job scheduler, five times."""
    result = killed(work, "classify", 400_000, 5, signal.SIGTERM)
    return {"fault": "SIGTERM", "times": 5, **losses_of(result), "same_bytes": result["same_bytes"]}


def losses_of(result: dict[str, Any]) -> dict[str, Any]:
    """The numbers of lost and doubled records of a result."""
    return {"lost": result["lost"], "doubled": result["doubled"]}


def full_disk(work: Path) -> dict[str, Any]:
    """A file system of 24 MB for an output of 60 MB; then one that is large enough."""
    source, folder = corpus(work, 400_000), work / "disk"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        arguments = ("classify", source, "--field", "text", "-q", "-o", folder / "out.jsonl", "--resume")
        first = run(*arguments)
        subprocess.run(["mount", "-o", "remount,size=400m", str(folder)], check=True)
        second = run(*arguments)
        whole = work / "whole.jsonl"
        assert run("classify", source, "--field", "text", "-q", "-o", whole).returncode == 0
        output = folder / "out.jsonl"
        return {
            "fault": "full disk", "times": 1, **losses(range(400_000), ids(output)),
            "same_bytes": output.read_bytes() == whole.read_bytes(), "codes": [first.returncode, second.returncode],
            "message": first.stderr.decode().splitlines()[-1],
        }  # fmt: skip
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def closed_pipe(work: Path) -> dict[str, Any]:
    """`| head -n 1`."""
    source = corpus(work, 400_000)
    process = subprocess.Popen(
        [*NLPKIT, "classify", str(source), "--field", "text"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    code = process.wait()
    message = process.stderr.read().decode()
    process.stderr.close()
    return {"fault": "closed pipe", "times": 1, "codes": [code], "message": message}


def bad_records(work: Path) -> dict[str, Any]:
    """Every hundredth of 20,000 lines is not valid; --on-error skip --errors."""
    source, path = corpus(work, 20_000), work / "bad.jsonl"
    path.write_bytes(
        b"".join(
            b'{"id": broken\n' if number % 100 == 7 else line
            for number, line in enumerate(source.read_bytes().splitlines(keepends=True))
        )
    )
    output, errors = work / "good.jsonl", work / "errors.jsonl"
    output.unlink(missing_ok=True)
    result = run("classify", path, "--field", "text", "-q", "--on-error", "skip", "--errors", errors, "-o", output)
    reported = [json.loads(line)["line"] - 1 for line in errors.open(encoding="utf-8")]
    assert reported == list(range(7, 20_000, 100))
    good = [number for number in range(20_000) if number % 100 != 7]
    return {
        "fault": "bad records", "times": len(reported), **losses(good, ids(output)), "codes": [result.returncode],
    }  # fmt: skip


def no_memory(work: Path) -> dict[str, Any]:
    """Limits of the address space, from one that suffices down: the chunks are halved where that helps."""
    source, output, whole = corpus(work, 400), work / "limited.jsonl", work / "whole-400.jsonl"
    arguments = ("ner", source, "--field", "text", "-q", "--dtype", "fp32", "--runtime", "onnx")
    assert run(*arguments, "-o", whole).returncode == 0
    halved: list[int] = []
    ended: list[int] = []
    lost = doubled = 0
    for mebibytes in range(400, 310, -10):
        limit = mebibytes << 20
        output.unlink(missing_ok=True)
        result = run(
            *arguments, "-o", output, preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, (limit, limit))
        )
        if result.returncode:
            ended.append(mebibytes)
        elif b"out of memory; continuing" in result.stderr:
            halved.append(mebibytes)
            found = losses(range(400), ids(output))
            lost, doubled = lost + found["lost"], doubled + found["doubled"]
    return {
        "fault": "out of memory, chunks halved", "times": len(halved), "lost": lost, "doubled": doubled, "codes": [0],
        "limits_survived": halved, "limits_too_small": ended,
    }  # fmt: skip


def damaged_model(work: Path) -> dict[str, Any]:
    """The files of a model, each cut at ten places."""
    import nlpkit

    source = Path(nlpkit.__file__).parent / "models" / "ner-cluener"
    copy, codes, multiline = work / "model", Counter[int](), 0
    chance = random.Random(0)
    files = [path for path in source.iterdir() if path.is_file()]
    for path in files:
        for _ in range(10):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("training"))
            os.truncate(copy / path.name, chance.randrange(path.stat().st_size))
            result = run("ner", "-m", copy, input="北京".encode())
            codes[result.returncode] += 1
            multiline += result.stderr.count(b"\n") != 1
    return {"fault": "truncated model", "times": 10 * len(files), "codes": sorted(codes), "other_messages": multiline}


def on_ray(work: Path) -> dict[str, Any]:
    """Records per second, and lost actors and workers."""
    import ray

    count = 6_000
    source = corpus(work, count)
    parts = work / "parts"
    parts.mkdir(exist_ok=True)
    content = source.read_bytes().splitlines(keepends=True)
    for number in range(12):
        (parts / f"{number:02d}.jsonl").write_bytes(b"".join(content[number * 500 : (number + 1) * 500]))
    whole = work / "whole-ray.jsonl"
    arguments = ("ner", parts, "-q", "--runtime", "onnx")
    start = time.monotonic()
    assert run(*arguments, "-o", whole).returncode == 0
    plain = time.monotonic() - start
    rows = [{"what": "the command alone, 1 thread", "seconds": round(plain, 1), "per_second": round(count / plain, 1)}]
    for actors in (1, 2):
        shutil.rmtree(work / "out", ignore_errors=True)
        start = time.monotonic()
        result = run(*arguments, "-o", work / "out", "--ray", "local", "--workers", actors)
        seconds = time.monotonic() - start
        assert result.returncode == 0, result.stderr.decode()
        same = b"".join(path.read_bytes() for path in sorted((work / "out").glob("part-*"))) == whole.read_bytes()
        rows.append({
            "what": f"--ray, {actors} actor(s), with the start of Ray", "seconds": round(seconds, 1),
            "per_second": round(count / seconds, 1), "same_bytes": same,
        })  # fmt: skip
    ray.shutdown()
    return {"records": count, "speed": rows, "faults": [lost_actor(work, whole), lost_node(work, whole)]}


def lost_actor(work: Path, whole: Path) -> dict[str, Any]:
    """The process of an actor is killed three times."""
    shutil.rmtree(work / "out", ignore_errors=True)
    process = subprocess.Popen(
        [*NLPKIT, "ner", str(work / "parts"), "-q", "--runtime", "onnx", "-o", str(work / "out"), "--ray", "local"],
        env=ENVIRONMENT, stderr=subprocess.PIPE,
    )  # fmt: skip
    kills, done = 0, 0
    while process.poll() is None and kills < 3:
        time.sleep(0.5)
        parts = len(list((work / "out").glob("part-*.jsonl"))) if (work / "out").exists() else 0
        if parts > done:
            done = parts
            found = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True, check=False)
            if found.stdout:
                os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
                kills += 1
    code = process.wait()
    assert process.stderr
    message = process.stderr.read().decode()
    process.stderr.close()
    return {"fault": "lost actor", "times": kills, "codes": [code], **compared(work, whole), "message": message[-300:]}


def lost_node(work: Path, whole: Path) -> dict[str, Any]:
    """One of the two worker nodes of a cluster is removed when the first parts are there."""
    from ray.cluster_utils import Cluster

    shutil.rmtree(work / "out", ignore_errors=True)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        node = cluster.add_node(num_cpus=1)
        cluster.add_node(num_cpus=1)
        process = subprocess.Popen(
            [*NLPKIT, "ner", str(work / "parts"), "-q", "--runtime", "onnx", "-o", str(work / "out"), "--ray",
             cluster.address],
            env=ENVIRONMENT, stderr=subprocess.PIPE,
        )  # fmt: skip
        while process.poll() is None and len(list((work / "out").glob("part-*.jsonl"))) < 2:
            time.sleep(0.5)
        cluster.remove_node(node, allow_graceful=False)
        code = process.wait()
        assert process.stderr
        message = process.stderr.read().decode()
        process.stderr.close()
    finally:
        cluster.shutdown()
    return {
        "fault": "lost worker node",
        "times": 1,
        "codes": [code],
        **compared(work, whole),
        "message": message[-300:],
    }


def compared(work: Path, whole: Path) -> dict[str, Any]:
    """The parts of a run against the output of the command alone."""
    parts = sorted((work / "out").glob("part-*.jsonl"))
    joined = work / "joined.jsonl"
    joined.write_bytes(b"".join(path.read_bytes() for path in parts))
    return {**losses(range(6_000), ids(joined)), "same_bytes": joined.read_bytes() == whole.read_bytes()}


def soak(work: Path, count: int) -> list[dict[str, Any]]:
    """Memory over many lines: the resident memory after a tenth of the output, and the largest one."""
    rows = []
    for command, total in (("embed --model embed-static --format npy", count), ("classify", count)):
        source, output = corpus(work, total), work / "soak.out"
        output.unlink(missing_ok=True)
        name, *options = command.split()
        process = subprocess.Popen(
            [*NLPKIT, name, str(source), "--field", "text", *options, "-q", "-o", str(output)], env=ENVIRONMENT
        )
        samples: list[int] = []
        start = time.monotonic()
        while process.poll() is None:
            samples.append(resident(process.pid))
            time.sleep(0.1)
        assert process.returncode == 0
        begin = max(samples[: max(1, len(samples) // 10)])
        rows.append({
            "command": command, "records": total, "seconds": round(time.monotonic() - start),
            "mebibytes_after_a_tenth": begin, "mebibytes_at_most": max(samples),
            "grown": max(0, max(samples) - begin),
        })  # fmt: skip
        output.unlink()
    return rows


def resident(process: int) -> int:
    """Resident memory in MiB; 0 if the process has ended."""
    try:
        fields = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in fields if line.startswith("VmRSS")), 0)


def workers(work: Path) -> list[dict[str, Any]]:
    """One process with two threads against two workers; the better of two runs each, in turn."""
    rows = []
    for command, count in (("ner", 4_096), ("classify", 400_000), ("embed", 8_192)):
        source = corpus(work, count)
        seconds: dict[str, list[float]] = {"one": [], "two": []}
        same = []
        for _ in range(2):
            for name, options in (("one", []), ("two", ["--workers", "2"])):
                output = work / f"{name}.jsonl"
                output.unlink(missing_ok=True)
                environment = {key: value for key, value in ENVIRONMENT.items() if key != "OMP_NUM_THREADS"}
                start = time.monotonic()
                subprocess.run(
                    [*NLPKIT, command, str(source), "--field", "text", "-q", "-o", str(output), *options],
                    env=environment, check=True, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                seconds[name].append(time.monotonic() - start)
            same.append((work / "one.jsonl").read_bytes() == (work / "two.jsonl").read_bytes())
        one, two = min(seconds["one"]), min(seconds["two"])
        rows.append({
            "command": command, "records": count, "one_process": round(one, 1), "two_workers": round(two, 1),
            "ratio": round(one / two, 2), "same_bytes": all(same),
        })  # fmt: skip
    return rows


def main() -> None:
    """Run an action."""
    work, action = Path(sys.argv[1]), sys.argv[2]
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    work.mkdir(parents=True, exist_ok=True)
    if action == "kills":
        each = (number or 200) // len(KILLED)
        merge("kills", [killed(work, command, count, each) for command, count in KILLED.items()])
    elif action == "faults":
        merge("faults", faults(work))
    elif action == "ray":
        merge("ray", on_ray(work))
    elif action == "soak":
        merge("soak", soak(work, number or 1_000_000))
    else:
        merge("workers", workers(work))


if __name__ == "__main__":
    main()
