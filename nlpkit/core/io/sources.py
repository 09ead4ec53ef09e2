"""The files that a user names: by name, by folder, or by pattern."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from nlpkit.core.io.input import STDIN, source_name
from nlpkit.core.io.records import input_format
from nlpkit.errors import DataError

_PATTERN = re.compile(r"[*?[]")


def expanded(paths: Sequence[str], *, one_format: bool = True) -> list[str]:
    """Return the files of what was named: a folder stands for its files, a pattern such as `data/*.txt` for what fits.

    The files of a folder, also those in folders below it, are in the order of their names; names that begin with a dot
    or an underscore are left out, as in Hadoop and Spark. Any other path is returned as it is, also if it is missing.

    Args:
        paths: what was named.
        one_format: whether the files of a folder or pattern must have the same format by their names.

    Raises:
        DataError: a folder or pattern has no file, or files of several formats.
    """
    files: list[str] = []
    for path in paths:
        try:
            files += _files(path, one_format)
        except OSError:  # such as for a name that is too long, which its reader reports
            files.append(path)
    return files


def _files(path: str, one_format: bool) -> list[str]:
    """Return the files of a path.

    Raises:
        DataError: as `expanded`.
        OSError: the path cannot be examined.
    """
    if path == STDIN or not path or Path(path).is_file():
        return [path]
    if Path(path).is_dir():
        return _checked(
            path, one_format, [str(file) for file in sorted(Path(path).rglob("*")) if _is_input(file, path)]
        )
    if _PATTERN.search(path) and not Path(path).exists():
        found = (Path(file) for file in sorted(glob.glob(path, recursive=True)))  # noqa: PTH207  # any path
        return _checked(path, one_format, [str(file) for file in found if file.is_file()])
    return [path]


def _is_input(file: Path, folder: str) -> bool:
    return file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)


def _checked(path: str, one_format: bool, files: list[str]) -> list[str]:
    """Return the files of a folder or pattern if there are any, of one format."""
    if not files:
        raise DataError("has no file to read" if Path(path).is_dir() else "fits no file", source_name(path))
    formats: dict[str, int] = {}
    for file in files:
        format = input_format(file)
        formats[format] = formats.get(format, 0) + 1
    if one_format and len(formats) > 1:
        counts = ", ".join(f"{count:,} {format}" for format, count in sorted(formats.items()))
        raise DataError(f"has files of several formats ({counts}); name those of one, e.g. 'DIR/*.txt'", path)
    return files
