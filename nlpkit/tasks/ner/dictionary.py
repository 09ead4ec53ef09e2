"""User dictionaries: names with their labels, and search for them in texts.

    names.tsv       腾讯<TAB>company
    names.dict      the same, made by `nlpkit dict build`; memory-mapped, so that millions of names open at once

A name matches in any width, case and script (`core.text.normalization`), also with zero-width characters inside. A name
that begins or ends with a letter or digit matches whole words only: `ios` does not match in `radios`.

A built file consists of a trie in the format of marisa-trie, the label number of each key as unsigned 32-bit integers,
a description in JSON, and the sizes of these three with their CRC-32, which is compared on opening.
"""

import json
import mmap
import re
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marisa_trie
import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.input import source_name
from nlpkit.core.io.output import replacing
from nlpkit.core.io.records import ErrorPolicy, Line, read_lines
from nlpkit.core.text.normalization import normalize
from nlpkit.errors import DataError
from nlpkit.tasks.ner.data import Entity

SOURCE = "dict"  # of the entities
MAX_NAME = 100  # characters; bounds the number of matches in a text
FORMAT = 1
_MAGIC = b"We love Marisa."  # at the beginning of marisa-trie's files
_FOOTER = struct.Struct("<QQQI12s")  # bytes of trie, labels and description, CRC-32, and the kind of file
_KIND = b"nlpkit dict\n"
# Letters of scripts that put spaces between words, after normalization.
_WORD = re.compile("[0-9A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u052f]+")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of the entries of a dictionary; a built dictionary has only `names`.

    Attributes:
        names: distinct names.
        repeated: entries with the name and label of an earlier entry.
        shadowed: entries with the name of an earlier entry and another label; they never match.
        first_shadowed: `file:line: name` of the first shadowed entry.
    """

    names: int
    repeated: int = 0
    shadowed: int = 0
    first_shadowed: str = ""


class Dictionary:
    """Names with their labels.

    Args:
        trie: the normalized names.
        label_ids: [n] index of the label of each key of the trie.
        labels: by index.
        longest: number of characters of the longest name.
        counts: of the entries.
    """

    def __init__(
        self, trie: Any, label_ids: NDArray[np.uint32], labels: Sequence[str], longest: int, counts: Counts
    ) -> None:
        self.labels, self.counts = tuple(labels), counts
        self._trie, self._label_ids, self._longest = trie, label_ids, longest
        self._matched: set[int] = set()

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._label_ids)

    @property
    def matched(self) -> int:
        """Return the number of names that occurred in a text so far."""
        return len(self._matched)

    def find(self, text: str) -> list[Entity]:
        """Return all occurrences of names in a text, also overlapping ones, in text order."""
        form, offsets = _comparable(text)
        inside = {index for word in _WORD.finditer(form) for index in range(word.start() + 1, word.end())}
        entities = []
        for start in range(len(form)):
            if start in inside:
                continue
            for name, key in self._trie.iter_prefixes_with_ids(form[start : start + self._longest]):
                end = start + len(name)
                if end not in inside:
                    self._matched.add(key)
                    first, last = (start, end - 1) if offsets is None else (offsets[start], offsets[end - 1])
                    label = self.labels[self._label_ids[key]]
                    entities.append(Entity(first, last + 1, label, source=SOURCE))
        return sorted(entities)

    def save(self, path: Path) -> None:
        """Write the dictionary as a file for memory-mapping.

        Raises:
            OutputError: it cannot be written.
        """
        description = {"format": FORMAT, "labels": self.labels, "longest": self._longest}
        parts = (
            self._trie.tobytes(),
            self._label_ids.astype("<u4").tobytes(),
            json.dumps(description, ensure_ascii=False).encode(),
        )
        with replacing(path) as temporary, temporary.open("wb") as stream:
            checksum = 0
            for part in parts:
                checksum = zlib.crc32(part, checksum)
                stream.write(part)
            stream.write(_FOOTER.pack(*map(len, parts), checksum, _KIND))


def load_dictionary(path: str, encoding: str = "utf-8", on_error: ErrorPolicy | None = None) -> Dictionary:
    """Return the dictionary of a file, either kind.

    Args:
        path: lines of name<TAB>label, compressed or not (`-` is stdin), or a file made by `nlpkit dict build`.
        encoding: of a file of lines.
        on_error: how to handle invalid entries.

    Raises:
        DataError: the file cannot be read, has no entry, or is damaged.
    """
    if _is_built(path):
        return _open_built(path)
    return read_dictionary(path, encoding, on_error)


def read_dictionary(path: str, encoding: str = "utf-8", on_error: ErrorPolicy | None = None) -> Dictionary:
    """Return the dictionary of a file of lines name<TAB>label; of equal names the first entry is used.

    Raises:
        DataError: the file cannot be read or has no entry; an entry is malformed, unless `on_error` skips it.
    """
    on_error = on_error or ErrorPolicy()
    entries: dict[str, int] = {}
    labels: dict[str, int] = {}
    repeated = shadowed = 0
    first_shadowed = ""
    for line in read_lines([path], encoding, on_error):
        if not line.text.strip():
            continue
        try:
            name, label = _entry(line)
        except DataError as error:
            on_error(error)
            continue
        number = labels.setdefault(label, len(labels))
        if name not in entries:
            entries[name] = number
        elif entries[name] == number:
            repeated += 1
        else:
            shadowed += 1
            original = line.text.split("\t")[0].strip()
            first_shadowed = first_shadowed or f"{line.source}:{line.number}: {original}"
    if not entries:
        raise DataError("has no entry; name<TAB>label is expected in each line", source_name(path))
    trie = marisa_trie.Trie(entries)
    label_ids = np.empty(len(entries), np.uint32)
    keys = np.fromiter((trie[name] for name in entries), np.int64, len(entries))
    label_ids[keys] = np.fromiter(entries.values(), np.uint32, len(entries))
    counts = Counts(len(entries), repeated, shadowed, first_shadowed)
    return Dictionary(trie, label_ids, list(labels), max(map(len, entries)), counts)


def _entry(line: Line) -> tuple[str, str]:
    """Return the normalized name of an entry, and its label.

    Raises:
        DataError: the line has another shape, or the name is too long.
    """
    fields = [field.strip() for field in line.text.split("\t")]
    if len(fields) != 2:
        raise line.error(f"name<TAB>label is expected, this line has {len(fields)} column(s)")
    name, label = _comparable(fields[0])[0].strip(), fields[1]
    if not name or not label:
        raise line.error(f"the {'label' if name else 'name'} is empty; name<TAB>label is expected")
    if "\0" in name:  # which the trie takes for the end
        raise line.error("the name has a NUL byte; remove it")
    if len(name) > MAX_NAME:
        raise line.error(f"the name has {len(name)} characters; {MAX_NAME} is the limit")
    return name, label


def _comparable(text: str) -> tuple[str, list[int] | None]:
    """Return a normalized text without format characters, such as zero-width spaces, and its offsets.

    The offsets are those of its characters in the original text; None if no character was removed.
    """
    form = normalize(text)
    if form.isprintable():
        return form, None
    categories = [unicodedata.category(character) for character in form]
    offsets = [index for index, category in enumerate(categories) if category != "Cf"]
    return "".join("\ufffd" if categories[index] == "Cs" else form[index] for index in offsets), offsets


def _is_built(path: str) -> bool:
    """Return whether a path is a regular file in the format of `Dictionary.save`, by its first bytes."""
    try:
        if not Path(path).is_file():  # the first bytes of a pipe cannot be read twice
            return False
        with Path(path).open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False  # `read_lines` raises the error


def _open_built(path: str) -> Dictionary:
    """Return the dictionary of a built file, memory-mapped.

    Raises:
        DataError: it is damaged, or of another version.
    """

    def damaged(problem: object) -> DataError:
        return DataError(f"is no dictionary, or damaged ({problem}); build it again: nlpkit dict build", path)

    with Path(path).open("rb") as stream:
        buffer = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    body = len(buffer) - _FOOTER.size
    if body < 0:
        raise damaged("it is too short")
    *sizes, checksum, kind = _FOOTER.unpack_from(buffer, body)
    if kind != _KIND or sum(sizes) != body or sizes[1] % 4:
        raise damaged("its end is missing")
    if zlib.crc32(buffer[:body]) != checksum:
        raise damaged("its checksum differs")
    first, second = sizes[0], sizes[0] + sizes[1]
    try:
        description = json.loads(bytes(buffer[second:body]))
        if description["format"] != FORMAT:
            raise damaged(f"its format is {description['format']!r:.20}, not {FORMAT}")
        labels, longest = [str(label) for label in description["labels"]], int(description["longest"])
        label_ids = np.frombuffer(buffer[first:second], "<u4")
        trie = marisa_trie.Trie().map(buffer[:first])
    except (ValueError, TypeError, KeyError, RecursionError, RuntimeError) as error:
        raise damaged(error) from None
    if len(trie) != len(label_ids) or (len(label_ids) and int(label_ids.max()) >= len(labels)):
        raise damaged("its parts do not fit")
    return Dictionary(trie, label_ids, labels, longest, Counts(len(label_ids)))
