"""Shards on a Ray cluster, by Ray Data.

Ray carries the shards, not the records: an actor reads its shard with nlpkit's own reader and writes the output, which
gets its name when it is complete. Ray runs a task again when a worker is lost; that writes the same file again, so
no record is lost or doubled, and the order is that of the names of the files. Ray's own readers of text and JSON split
at other line ends, drop blank lines and hold whole files in memory.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nlpkit.core.io.input import Part
from nlpkit.core.io.records import ErrorPolicy, Record, dump_error, open_output
from nlpkit.core.pipeline.journal import Job
from nlpkit.core.pipeline.processor import Processor
from nlpkit.core.pipeline.shards import Shard, process_shard
from nlpkit.errors import DataError, NlpkitError, UsageError

LOCAL = "local"
_CONNECT = 5.0  # seconds
# Ray's own messages are for its developers; its errors come as exceptions.
_QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",  # usage statistics are sent by default
}
Read = Callable[[Sequence[Part], ErrorPolicy, Sequence[str]], Iterator[Record]]


class RayError(NlpkitError):
    """The cluster cannot be reached, or gave up."""


class Cluster(NamedTuple):
    """The modules `ray` and `ray.data`, connected to a cluster."""

    ray: Any
    data: Any


class ShardActor:
    """Holds a model in a process of the cluster, and processes shards; see `run_shards` for the arguments."""

    def __init__(
        self, make: Callable[[str], Processor], device: str, read: Read, folder: str, suffix: str, job: Job,
        on_error: str, max_line: int, keep_bad: bool, working_folder: str,
    ):  # fmt: skip
        if Path(working_folder).is_dir():  # so that relative names of models and graphs hold
            os.chdir(working_folder)
        self._processor = make(device)
        self._read, self._folder, self._suffix, self._job = read, Path(folder), suffix, job
        self._on_error, self._max_line, self._keep_bad = on_error, max_line, keep_bad

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process the shards of a batch; a row of the result has counts, or the message of an error."""
        rows = [self._process(*row) for row in zip(*(batch[name] for name in _COLUMNS), strict=True)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _process(self, number: int, path: str, start: int, end: int, line: int) -> dict[str, Any]:
        shard = Shard(int(number), Part(str(path), int(start), None if end < 0 else int(end), int(line)))
        output = shard.output(self._folder, self._suffix)
        bad: list[DataError] = []
        policy: Any = self._on_error
        errors = ErrorPolicy(policy, bad.append if self._keep_bad else lambda error: None, max_line=self._max_line)
        try:
            count = process_shard(shard, output, self._processor, self._read, self._job, errors)
            if self._keep_bad:
                _write_bad(output, bad)
        except NlpkitError as error:
            return {"records": 0, "bad": 0, "error": str(error)}
        return {"records": count, "bad": errors.count, "error": ""}


_COLUMNS = ("number", "path", "start", "end", "line")


def run_shards(
    cluster: Cluster,
    shards: Sequence[Shard],
    make: Callable[[str], Processor],
    read: Read,
    folder: Path,
    suffix: str,
    job: Job,
    *,
    workers: int | None,
    device: str,
    on_error: ErrorPolicy,
    keep_bad: bool,
) -> Iterator[int]:
    """Process shards on a cluster, and yield the number of records of each when it is done.

    Args:
        cluster: of `connected`.
        shards: to process.
        make: loads the model on a device, in an actor.
        read: see `process_shard`.
        folder: of the outputs; the path is the same on all machines.
        suffix: of the outputs.
        job: what identifies the run.
        workers: number of actors; None is one for each GPU, or else for each CPU, of the cluster.
        device: `auto` is the GPU of an actor if the cluster has GPUs.
        on_error: bad records are counted in it.
        keep_bad: whether to write the bad records of each shard to a file beside its output.

    Raises:
        RayError: the cluster gave up.
        NlpkitError: a shard failed.
    """
    ray, data = cluster
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0)) if device != "cpu" else 0
    count = min(workers or gpus or max(1, int(resources.get("CPU", 1))), len(shards))
    arguments = (
        make, ("cuda" if gpus else "cpu") if device == "auto" else device, read, str(folder), suffix, dict(job),
        on_error.policy, on_error.max_line, keep_bad, str(Path.cwd()),
    )  # fmt: skip
    rows = [
        {"number": s.number, "path": s.part.path, "start": s.part.start,
         "end": -1 if s.part.end is None else s.part.end, "line": s.part.line}
        for s in shards
    ]  # fmt: skip
    results = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        ShardActor,
        fn_constructor_args=arguments,
        batch_size=1,
        compute=data.ActorPoolStrategy(size=count),
        num_cpus=0 if gpus else 1,
        num_gpus=1 if gpus else 0,
    )
    try:
        for row in results.iter_rows():
            if row["error"]:
                raise NlpkitError(row["error"])
            on_error.count += int(row["bad"])
            yield int(row["records"])
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        cure = "start the command again to do the missing shards"
        raise RayError(f"Ray gave up: {lines[-1][:500]}; {cure}") from error


def _write_bad(output: Path, bad: Sequence[DataError]) -> None:
    """Write the bad records of a shard; nothing if there are none."""
    path = output.with_name(f"bad-{output.name.split('.')[0]}.jsonl")
    path.unlink(missing_ok=True)
    if bad:
        with open_output(path) as stream:
            stream.writelines(map(dump_error, bad))


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a cluster.

    Args:
        address: of the cluster, or `local` for one on this machine that ends with the block.

    Raises:
        RayError: the cluster cannot be reached.
        UsageError: ray is not installed.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray
        from ray import data
    except ImportError:
        raise UsageError("--ray: Ray is an extra; install it with: pip install 'nlpkit[ray]'") from None
    _check_answers(address)
    running = ray.is_initialized()
    options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False, "include_dashboard": False}
    try:
        if not running:
            ray.init(address="local" if address == LOCAL else address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _unreachable(address, error) from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    data.DataContext.get_current().enable_progress_bars = False
    try:
        yield Cluster(ray, data)
    finally:
        if not running:
            ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise RayError if nothing listens at HOST:PORT; Ray itself waits for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != LOCAL and host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> RayError:
    reason = " ".join(str(error).split())[:300]
    cure = "start one with `ray start`, pass --ray local, or set RAY_AUTH_MODE=token if it has authentication"
    return RayError(f"--ray {address}: no cluster answers ({reason}); {cure}")
