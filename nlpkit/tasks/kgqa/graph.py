"""An open knowledge graph: its facts, its names, and the prefix tree over its keys; see `store` for the files."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlpkit.core.folders import check_name
from nlpkit.core.normalization import normalize
from nlpkit.core.tokenizer import VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.kgqa.prefix_tree import HeavyNodes, Ints, Keys, PrefixTree
from nlpkit.tasks.kgqa.store import (
    BLOCK,
    HEAVY_ARRAYS,
    KEY_ARRAYS,
    PARTS,
    SEPARATOR,
    Files,
    GraphManifest,
    checksum,
    read_manifest,
)
from nlpkit.tasks.kgqa.triples import clean_subject, join_subject, split_subject

DEFAULT_MODEL = "kgqa"  # whose tokenizer a graph is built with where no other is named
CHUNK = 1 << 16  # rows that are turned into strings together
_CACHED_BLOCKS = 64
_BRACKETS = str.maketrans("()", "（）")
_SUGGESTIONS = 10  # in an error's message


class Fact(NamedTuple):
    """All that a graph says of one subject and predicate, in the strings as they were written.

    Attributes:
        subject: its name, without the meaning.
        meaning: which of the things of that name, what stands in 名字（…）; empty where the graph has none.
        predicate: of what.
        objects: the answers, in the order in which they were read.
    """

    subject: str
    meaning: str
    predicate: str
    objects: tuple[str, ...]


class Graph:
    """An open graph. A key (see `PrefixTree`) is a rank from 0; it has at least one triple, or row.

    Rows are in the order of their keys. Nearly every key has one row, spelled as the first spelling of each form; what
    differs is listed: `extra_rows` has the key of every row beyond the first of its key, `odd_rows` the rows that are
    spelled otherwise, and `spellings` [odd rows, 3] their name, predicate and meaning.

    Attributes:
        folder: where it is.
        manifest: what it is.
        tree: over the keys.
        names, predicates, meanings: the strings.
    """

    def __init__(self, folder: Path, manifest: GraphManifest):
        files = Files(folder, manifest)
        self.folder, self.manifest = folder, manifest
        self.names, self.predicates, self.meanings = self.parts = tuple(files.part(name) for name in PARTS)
        self.variants = files.variants()
        self.tree = PrefixTree(
            (self.names.forms, self.predicates.forms, self.meanings.forms),
            Keys(*map(files.array, KEY_ARRAYS)),
            manifest.tokenizer["sep_id"],
            HeavyNodes(*map(files.array, HEAVY_ARRAYS)),
        )
        self.extra_rows = files.array("extra_rows")
        self.odd_rows, self.spellings = files.array("odd_rows"), files.array("spellings")
        self._extra, self._odd = self.extra_rows.data, self.odd_rows.data
        self._objects, self._blocks = files.array("objects"), files.array("object_blocks")
        self._block = lru_cache(_CACHED_BLOCKS)(self._read_block)

    @classmethod
    def open(cls, path: str | Path, tokenizer: CharTokenizer | None = None) -> "Graph":
        """Maps a graph.

        Args:
            path: the folder.
            tokenizer: of the model that will walk the tree; None where only strings are wanted.

        Raises:
            DataError: there is no finished graph, it is truncated or of another version.
            ModelError: it was built with another tokenizer.
        """
        folder = Path(path)
        check_name(folder)
        manifest = read_manifest(folder)
        if tokenizer is not None and tokenizer.fingerprint != manifest.tokenizer["fingerprint"]:
            cure = "build it again with --model naming this model"
            raise ModelError(f"{folder}: was built with the tokenizer of another model; {cure}")
        try:
            return cls(folder, manifest)
        except (DataError, FileNotFoundError):
            if read_manifest(folder).generation == manifest.generation:
                raise
            return cls.open(folder, tokenizer)  # a build has just replaced it

    def __len__(self) -> int:
        """The number of triples."""
        return len(self.tree) + len(self.extra_rows)

    @property
    def tokenizer(self) -> CharTokenizer:
        """The one that it was built with."""
        tokens = read_vocabulary(self.folder / self.manifest.generation / VOCABULARY)
        return from_settings(tokens, self.manifest.tokenizer)

    def facts(self, key: int) -> list[Fact]:
        """What a key holds: one fact, or several where different strings have the same tokens (iPhone, IPHONE)."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in range(*self.rows(key)):
            found.setdefault(self._written(key, row), []).append(self.object(row))
        return [Fact(*written, tuple(objects)) for written, objects in found.items()]

    def triple(self, key: int) -> tuple[str, str, str]:
        """Name, meaning and predicate of a key's first triple; `facts` gives all that it holds."""
        return self._written(key, self.rows(key)[0])

    def objects(self, key: int) -> list[str]:
        """The distinct objects of a key, in whatever spelling the rest of the triple is."""
        return list(dict.fromkeys(self.object(row) for row in range(*self.rows(key))))

    def rows(self, key: int) -> tuple[int, int]:
        """The half-open range of a key's rows."""
        return key + bisect_left(self._extra, key), key + 1 + bisect_right(self._extra, key)

    def object(self, row: int) -> str:
        """The object of a row."""
        return self.object_bytes(row).decode()

    def object_bytes(self, row: int) -> bytes:
        """The object of a row in UTF-8."""
        return self._block(row // BLOCK)[row % BLOCK]

    def row_spellings(self, start: int, end: int) -> Ints:
        """The spellings [end - start, 3] of name, predicate and meaning of a range of rows."""
        rows = np.arange(start, end)
        places = self.extra_rows + np.arange(1, len(self.extra_rows) + 1)  # the rows that are beyond their key's first
        keys = rows - np.searchsorted(places, rows, "right")
        tree = self.tree
        names = np.searchsorted(tree.subject_keys, keys, "right") - 1
        forms = (names, tree.key_predicates[keys], tree.key_meanings[keys])
        table: Ints = np.stack([part.firsts[found] for part, found in zip(self.parts, forms, strict=True)], axis=1)
        low, high = bisect_left(self._odd, start), bisect_left(self._odd, end)
        table[self.odd_rows[low:high].astype(np.int64) - start] = self.spellings[low:high]
        return table

    def names_in(self, text: str) -> list[tuple[int, int, str]]:
        """Return every name that a text contains, in whatever width, case and script: (start, end, name as written).

        They are in the order of their start, then of their end.
        """
        normal, found = normalize(text), list[tuple[int, int, str]]()
        for start in range(len(normal)):
            rest = normal[start:]
            others = (spelling for form in self.variants.trie.prefixes(rest) for spelling in self.variants.find(form))
            names = [*self.names.trie.prefixes(rest), *map(self.names.string, others)]
            found += [(start, start + len(name), name) for name in sorted(names, key=len)]
        return found

    def spellings_of(self, name: str) -> list[int]:
        """Return the spellings that a name stands for: itself if the graph has it, else all with its normal form."""
        exact = self.names.find(name)
        if exact is not None:
            return [exact]
        form = normalize(name)
        usual = self.names.find(form)
        return [*([] if usual is None else [usual]), *self.variants.find(form)]

    def names_starting(self, prefix: str, limit: int = 10) -> list[str]:
        """Some of the names that begin so."""
        return list(islice(self.names.trie.iterkeys(prefix), limit))

    def subjects(self, name: str) -> list[str]:
        """The meanings of a name, in the order of their tokens; "" where something bears it without a note."""
        meanings = {fact.meaning for fact in self.find(name)}
        return sorted(meanings, key=lambda meaning: self.meanings.find(meaning) or 0)

    def find(self, subject: str, predicate: str | None = None) -> list[Fact]:
        """Return the facts of a subject: of all entities with a name, or of the one that `名字（义）` says.

        Args:
            subject: with or without its meaning. As in `spellings_of`, the same spelling comes before the same normal
                form; this holds for meaning and predicate, too.
            predicate: all when None.
        """
        name, meaning = self._split(subject)
        names = {self.names.string(spelling) for spelling in self.spellings_of(name)}
        forms = dict.fromkeys(self.names.form_of(spelling) for spelling in self.spellings_of(name))
        ranges = (self.tree.keys(self.tree.subject(form)) for form in forms)
        keys = chain.from_iterable(range(*ends) for ends in ranges)
        facts = [fact for key in keys for fact in self.facts(key) if fact.subject in names]
        for part, text in (("meaning", meaning), ("predicate", predicate)):
            facts = _where(facts, part, text) if text else facts
        return facts

    def look_up(self, subject: str, predicate: str | None = None) -> Iterator[Fact]:
        """As `find`, for people.

        Raises:
            DataError: there is no such subject, or it has no such predicate.
        """
        facts = self.find(subject, predicate)
        yield from facts
        if facts:
            return
        if predicate is not None and (known := dict.fromkeys(fact.predicate for fact in self.find(subject))):
            there = "、".join(islice(known, _SUGGESTIONS))
            raise DataError(f"{subject} has no {predicate} here; it has: {there}", str(self.folder))
        name, meaning = self._split(subject)
        similar = [join_subject(name, sense) for sense in self.subjects(name)] if meaning else self.names_starting(name)
        there = f"; there are: {'、'.join(similar[:_SUGGESTIONS])}" if similar else ""
        raise DataError(f"no subject {subject} here{there}", str(self.folder))

    def info(self) -> dict[str, Any]:
        """What `nlpkit graph info` shows: counts, sizes in bytes, degrees."""
        degrees = np.diff(self.tree.subject_keys)
        places = [0.5, 0.9, 0.99, 1.0]
        triples = dict(
            zip(("median", "90 %", "99 %", "most"), np.quantile(degrees, places).astype(int).tolist(), strict=True)
        )
        files = self.manifest.files
        sizes = {kind: sum(entry["bytes"] for name, entry in files.items() if name.startswith(kind))
                 for kind in (*PARTS, "variants", "key", "object", "heavy")}  # fmt: skip
        total = sum(entry["bytes"] for entry in files.values())
        return {
            "graph": str(self.folder),
            **self.manifest.counts,
            "predicates_per_name": {"mean": round(float(degrees.mean()), 2), **triples},
            "bytes": {"total": total, **sizes, "other": total - sum(sizes.values())},
            "tokenizer": self.manifest.tokenizer,
            "sources": self.manifest.sources,
            "version": self.manifest.version,
        }

    def triples(self) -> Iterator[tuple[str, str, str]]:
        """Everything, as (subject as written with its meaning, predicate, object), in the order of the keys."""
        for start in range(0, len(self), CHUNK):
            end = min(start + CHUNK, len(self))
            for row, (name, predicate, meaning) in enumerate(self.row_spellings(start, end).tolist(), start):
                subject = join_subject(self.names.string(name), self.meanings.string(meaning))
                yield subject, self.predicates.string(predicate), self.object(row)

    def check(self) -> None:
        """Reads all files and compares them with the manifest.

        Raises:
            DataError: one was changed or damaged.
        """
        for name, entry in self.manifest.files.items():
            path = self.folder / self.manifest.generation / name
            if checksum(path) != entry["sha256"]:
                raise DataError("is damaged; build the graph again", str(path))

    def _split(self, subject: str) -> tuple[str, str]:
        """Return name and meaning of a subject, whose brackets may be half-width if the graph has no such name."""
        subject = clean_subject(subject)
        return split_subject(subject if self.spellings_of(subject) else subject.translate(_BRACKETS))

    def _written(self, key: int, row: int) -> tuple[str, str, str]:
        """Name, meaning and predicate of a row of a key, as written."""
        index = bisect_left(self._odd, row)
        if index < len(self._odd) and self._odd[index] == row:
            name, predicate, meaning = self.spellings[index].tolist()
        else:
            forms = zip(self.parts, self.tree.parts(key), strict=True)
            name, predicate, meaning = (int(part.firsts[form]) for part, form in forms)
        return self.names.string(name), self.meanings.string(meaning), self.predicates.string(predicate)

    def _read_block(self, number: int) -> list[bytes]:
        packed = self._objects[int(self._blocks[number]) : int(self._blocks[number + 1])]
        return zlib.decompress(packed).split(SEPARATOR)


def _where(facts: list[Fact], part: str, text: str) -> list[Fact]:
    """Those that have this text in a part, or if there are none, another text of the same normal form."""
    form = normalize(text)
    exact = [fact for fact in facts if getattr(fact, part) == text]
    return exact or [fact for fact in facts if normalize(getattr(fact, part)) == form]
