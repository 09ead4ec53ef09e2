"""Read a knowledge graph: facts, entity names, and the prefix tree over its keys; see `store` for the files."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlpkit.core.io.folders import check_name
from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.kgqa.graph.prefix_tree import DAMAGE_ERRORS, Ints, PrefixTree
from nlpkit.tasks.kgqa.graph.store import (
    BLOCK,
    COMPONENTS,
    KIND,
    MAX_BLOCK_BYTES,
    SEPARATOR,
    Files,
    GraphManifest,
    read_manifest,
)
from nlpkit.tasks.kgqa.graph.triples import clean_subject, join_subject, split_subject

CHUNK = 1 << 16  # triples that are converted to strings together
_CACHED_BLOCKS = 64
_CACHED_PREDICATES = 1 << 16
MAX_NAME_CHARACTERS = 4096  # of a name that is found in a text; a question cannot contain a longer one
_BRACKETS = str.maketrans("()", "（）")
_MAX_SUGGESTIONS = 10  # in an error message


class Fact(NamedTuple):
    """Objects of one subject and predicate, as strings of the input.

    Attributes:
        subject: entity name, without the sense.
        sense: sense of the entity, the text in the brackets of 名字（…）; may be empty. Written to JSON as `meaning`.
        predicate: predicate.
        objects: objects, in the order of reading.
    """

    subject: str
    sense: str
    predicate: str
    objects: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the fact."""
        return {
            "subject": self.subject,
            "meaning": self.sense,
            "predicate": self.predicate,
            "objects": self.objects,
        }


class Graph:
    """Open knowledge graph. A key is identified by its rank in the `PrefixTree` and has at least one triple.

    Triples are in the order of their keys. Nearly every key has one triple, whose strings are the first surface form of
    each token form. The exceptions are stored as lists: `extra_triples` has the key of each triple beyond the first of
    its key, `irregular_triples` the triples with other surface forms, and `irregular_forms` [irregular triples, 3] the
    surface forms of their name, predicate and sense.

    Attributes:
        folder: folder of the graph.
        manifest: manifest of the graph.
        tree: prefix tree over the keys.
        names, predicates, senses: strings of the entity names, predicates and senses.
        tables: the three of them, in the order of a key.
    """

    def __init__(self, folder: Path, manifest: GraphManifest):
        self._files = files = Files(folder, manifest)
        self.folder, self.manifest = folder, manifest
        self.names, self.predicates, self.senses = self.tables = tuple(files.strings(name) for name in COMPONENTS)
        self.variants = files.variants(len(self.names))
        names = len(self.names.forms.offsets) - 1
        keys = files.keys(names)
        self.tree = PrefixTree(
            (self.names.forms, self.predicates.forms, self.senses.forms), keys, manifest.tokenizer["sep_id"],
            files.heavy_nodes(names, len(keys.predicates)), files.damaged,
        )  # fmt: skip
        self.extra_triples = files.array("extra_rows")
        self.irregular_triples = files.array("odd_rows")
        self.irregular_forms = files.array("spellings", len(self.irregular_triples), 3)
        self._extra, self._irregular = self.extra_triples.data, self.irregular_triples.data
        self._objects = files.array("objects")
        self._blocks = files.array("object_blocks", -(-len(self) // BLOCK) + 1)
        self._block = lru_cache(_CACHED_BLOCKS)(self._read_block)
        self._predicate = lru_cache(_CACHED_PREDICATES)(lambda form: self.predicates.text(self.predicates.first(form)))
        self._check_counts()

    @classmethod
    def open(cls, path: str | Path, tokenizer: CharTokenizer | None = None) -> "Graph":
        """Open a graph; its files are memory-mapped.

        Args:
            path: folder of the graph.
            tokenizer: tokenizer of the model that will use the tree; None if only the strings are needed.

        Raises:
            DataError: there is no complete graph, or it is truncated or of another version.
            ModelError: the graph was built with another tokenizer.
        """
        folder = Path(path)
        check_name(folder)
        manifest = read_manifest(folder)
        try:
            graph = cls(folder, manifest)
        except DataError:
            if read_manifest(folder).generation == manifest.generation:
                raise
            return cls.open(folder, tokenizer)  # a build has just replaced the graph
        if tokenizer is not None:
            graph.check_tokenizer(tokenizer)
        return graph

    def check_tokenizer(self, tokenizer: CharTokenizer) -> None:
        """Check that the graph was built with a tokenizer; from then on, any other token of the tree is an error.

        Raises:
            ModelError: it was built with another one.
        """
        if tokenizer.fingerprint != self.manifest.tokenizer["fingerprint"]:
            cure = "build it again with --model naming this model"
            raise ModelError(f"{self.folder}: was built with the tokenizer of another model; {cure}")
        self.tree.vocab_size = tokenizer.vocab_size

    def __len__(self) -> int:
        """Return the number of triples."""
        return len(self.tree) + len(self.extra_triples)

    @property
    def tokenizer(self) -> CharTokenizer:
        """Return the tokenizer that the graph was built with."""
        tokens = read_vocabulary(self.folder / self.manifest.generation / VOCABULARY)
        return from_settings(tokens, self.manifest.tokenizer)

    def facts(self, key: int) -> list[Fact]:
        """Return the facts of a key: one, or several if different strings have the same tokens (iPhone, IPHONE)."""
        facts: dict[tuple[str, str, str], list[str]] = {}
        for triple in range(*self.triple_range(key)):
            facts.setdefault(self._strings(key, triple), []).append(self.object(triple))
        return [Fact(*strings, tuple(objects)) for strings, objects in facts.items()]

    def triple(self, key: int) -> tuple[str, str, str]:
        """Return name, sense and predicate of a key's first triple; see `facts` for all triples."""
        return self._strings(key, self.triple_range(key)[0])

    def predicates_of(self, start: int, end: int) -> list[tuple[str, ...]]:
        """Return the predicates of each key in a range: one, or several if different strings have the same tokens."""
        found: list[tuple[str, ...]] = [
            (self._predicate(form),) for form in self.tree.key_predicates[start:end].tolist()
        ]
        first, last = (bisect_left(self._irregular, self.triple_range(key)[0]) for key in (start, end))
        for key in range(start, end) if first < last else ():
            low, high = self.triple_range(key)
            if bisect_left(self._irregular, low, first, last) < bisect_left(self._irregular, high, first, last):
                found[key - start] = tuple(dict.fromkeys(self._strings(key, triple)[2] for triple in range(low, high)))
        return found

    def objects(self, key: int) -> list[str]:
        """Return the distinct objects of a key, for all surface forms of the rest of the triple."""
        return list(dict.fromkeys(self.object(triple) for triple in range(*self.triple_range(key))))

    def triple_range(self, key: int) -> tuple[int, int]:
        """Return the half-open range of a key's triples."""
        return key + bisect_left(self._extra, key), key + 1 + bisect_right(self._extra, key)

    def object(self, triple: int) -> str:
        """Return the object of a triple."""
        try:
            return self.object_bytes(triple).decode()
        except UnicodeDecodeError as error:
            raise self._files.damaged(error) from None

    def object_bytes(self, triple: int) -> bytes:
        """Return the object of a triple in UTF-8."""
        try:
            return self._block(triple // BLOCK)[triple % BLOCK]
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None

    def surface_forms(self, start: int, end: int) -> Ints:
        """Return the surface forms [end - start, 3] of name, predicate and sense of a range of triples."""
        try:
            return self._surface_forms(start, end)
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None

    def _surface_forms(self, start: int, end: int) -> Ints:
        triples = np.arange(start, end)
        extra = self.extra_triples + np.arange(1, len(self.extra_triples) + 1)  # their numbers among all triples
        keys = triples - np.searchsorted(extra, triples, "right")
        tree = self.tree
        names = np.searchsorted(tree.subject_keys, keys, "right") - 1
        forms = (names, tree.key_predicates[keys], tree.key_senses[keys])
        table: Ints = np.stack([table.firsts[form] for table, form in zip(self.tables, forms, strict=True)], axis=1)
        low, high = bisect_left(self._irregular, start), bisect_left(self._irregular, end)
        table[self.irregular_triples[low:high].astype(np.int64) - start] = self.irregular_forms[low:high]
        return table

    def names_in(self, text: str) -> list[tuple[int, int, str]]:
        """Return every name that a text contains, in any width, case and script: (start, end, name in the graph).

        They are ordered by start, then by end.
        """
        normalized, spans = normalize(text), list[tuple[int, int, str]]()
        variants = self.variants
        try:
            for start in range(len(normalized)):
                rest = normalized[start : start + MAX_NAME_CHARACTERS]
                others = (number for form in variants.trie.prefixes(rest) for number in variants.find(form))
                names = [*self.names.trie.prefixes(rest), *map(self.names.text, others)]
                spans += [(start, start + len(name), name) for name in sorted(names, key=len)]
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None
        return spans

    def names_matching(self, name: str) -> list[int]:
        """Return the surface forms that match a name: the name itself, or else all with the same normalised form."""
        exact = self.names.find(name)
        if exact is not None:
            return [exact]
        normalized = normalize(name)
        regular = self.names.find(normalized)
        try:
            return [*([] if regular is None else [regular]), *self.variants.find(normalized)]
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None

    def names_starting(self, prefix: str, limit: int = 10) -> list[str]:
        """Return up to `limit` names that begin with a prefix."""
        try:
            return list(islice(self.names.trie.iterkeys(prefix), limit))
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None

    def senses_of(self, name: str) -> list[str]:
        """Return the senses of a name, in the order of their tokens; "" stands for an entity without a sense."""
        senses = {fact.sense for fact in self.find(name)}
        return sorted(senses, key=lambda sense: self.senses.find(sense) or 0)

    def find(self, subject: str, predicate: str | None = None) -> list[Fact]:
        """Return the facts of a subject: of all entities with a name, or of one sense, written as 名字（义）.

        As in `names_matching`, an equal string is preferred to an equal normalised form; this also applies to sense and
        predicate.

        Args:
            subject: entity name, with or without a sense.
            predicate: predicate; all predicates when None.
        """
        name, sense = self._split(subject)
        names = {self.names.text(number) for number in self.names_matching(name)}
        forms = dict.fromkeys(self.names.form_of(number) for number in self.names_matching(name))
        keys = chain.from_iterable(range(*self._keys_of(form)) for form in forms)
        facts = [fact for key in keys for fact in self.facts(key) if fact.subject in names]
        for attribute, text in (("sense", sense), ("predicate", predicate)):
            facts = _where(facts, attribute, text) if text else facts
        return facts

    def _keys_of(self, form: int) -> tuple[int, int]:
        """Return the range of the keys of a name's token form."""
        start, end = self.tree.subject_keys[form : form + 2].tolist()
        if not start < end <= len(self.tree) or self.tree.name_of(start) != self.tree.name_of(end - 1):
            raise self._files.damaged(IndexError("a name with the keys of another name"))
        return start, end

    def look_up(self, subject: str, predicate: str | None = None) -> Iterator[Fact]:
        """Yield the facts of `find`; if there are none, raise an error that suggests others.

        Raises:
            DataError: there is no such subject, or it has no such predicate.
        """
        facts = self.find(subject, predicate)
        yield from facts
        if facts:
            return
        if predicate is not None and (known := dict.fromkeys(fact.predicate for fact in self.find(subject))):
            there = "、".join(islice(known, _MAX_SUGGESTIONS))
            raise DataError(f"{subject} has no {predicate} here; it has: {there}", str(self.folder))
        name, sense = self._split(subject)
        similar = [join_subject(name, other) for other in self.senses_of(name)] if sense else self.names_starting(name)
        there = f"; there are: {'、'.join(similar[:_MAX_SUGGESTIONS])}" if similar else ""
        raise DataError(f"no subject {subject} here{there}", str(self.folder))

    def info(self) -> dict[str, Any]:
        """Return the record of `nlpkit graph info`: counts, sizes in bytes, degrees."""
        degrees = np.diff(self.tree.subject_keys)
        quantiles = [0.5, 0.9, 0.99, 1.0]
        degree_quantiles = dict(
            zip(("median", "90 %", "99 %", "most"), np.quantile(degrees, quantiles).astype(int).tolist(), strict=True)
        )
        files = self.manifest.files
        sizes = {kind: sum(entry.bytes for name, entry in files.items() if name.startswith(kind))
                 for kind in (*COMPONENTS, "variants", "key", "object", "heavy")}  # fmt: skip
        total = sum(entry.bytes for entry in files.values())
        return {
            "graph": str(self.folder),
            **self.manifest.counts,
            "predicates_per_name": {"mean": round(float(degrees.mean()), 2), **degree_quantiles},
            "bytes": {"total": total, **sizes, "other": total - sum(sizes.values())},
            "tokenizer": self.manifest.tokenizer,
            "sources": self.manifest.sources,
            "version": self.manifest.version,
        }

    def triples(self, chunk_size: int = CHUNK) -> Iterator[tuple[str, str, str]]:
        """Yield all triples as (subject with its sense, predicate, object), in the order of the keys."""
        for start in range(0, len(self), chunk_size):
            end = min(start + chunk_size, len(self))
            for triple, (name, predicate, sense) in enumerate(self.surface_forms(start, end).tolist(), start):
                subject = join_subject(self.names.text(name), self.senses.text(sense))
                yield subject, self.predicates.text(predicate), self.object(triple)

    def check(self) -> None:
        """Compare the checksums of all files, then check that their contents are consistent.

        A malicious trie with valid checksums can still crash the process.

        Raises:
            DataError: a file was changed or damaged, or is inconsistent with the others.
        """
        self._files.check()
        try:
            for table in self.tables:
                _check_ascending(table.forms.offsets, table.firsts)
                if (table.forms.tokens[table.forms.offsets[1:] - np.uint64(1)] != self.tree.sep_id).any():
                    raise ValueError("a name without [SEP]")
                if (table.ranks[table.ids] != np.arange(len(table))).any():
                    raise ValueError("names that map to other names")
            _check_ascending(self.tree.subject_keys, self.irregular_triples, self._blocks)
            for _ in self.triples():
                pass
        except DAMAGE_ERRORS as error:
            raise self._files.damaged(error) from None

    def _check_counts(self) -> None:
        """Compare the counts of the manifest with the files."""
        actual = {"triples": len(self), "keys": len(self.tree)}
        actual |= {name: len(table) for name, table in zip(COMPONENTS, self.tables, strict=True)}
        counts: dict[str, Any] = {**self.manifest.counts}
        if wrong := [name for name, count in actual.items() if counts[name] != count]:
            problem = f"has {actual[wrong[0]]:,} {wrong[0]}, but its manifest says {counts[wrong[0]]:,}"
            raise KIND.reader(self.folder).failure("", problem)

    def _split(self, subject: str) -> tuple[str, str]:
        """Return name and sense of a subject.

        If the graph has no such name, invisible characters are removed, and then half-width brackets are accepted.
        """
        cleaned = clean_subject(subject)
        for written in (subject, cleaned, cleaned.translate(_BRACKETS)):
            name, sense = split_subject(written)
            if self.names_matching(name):
                return name, sense
        return split_subject(cleaned)

    def _strings(self, key: int, triple: int) -> tuple[str, str, str]:
        """Return name, sense and predicate of a triple of a key."""
        index = bisect_left(self._irregular, triple)
        if index < len(self._irregular) and self._irregular[index] == triple:
            name, predicate, sense = self.irregular_forms[index].tolist()
        else:
            forms = zip(self.tables, self.tree.components(key), strict=True)
            name, predicate, sense = (table.first(form) for table, form in forms)
        return self.names.text(name), self.senses.text(sense), self.predicates.text(predicate)

    def _read_block(self, number: int) -> list[bytes]:
        start, end = self._blocks[number : number + 2].tolist()
        stream = zlib.decompressobj()
        objects = stream.decompress(self._objects[start:end], MAX_BLOCK_BYTES + 1).split(SEPARATOR)
        if not stream.eof or stream.unused_data or len(objects) != min(BLOCK, len(self) - number * BLOCK):
            raise ValueError("not a block of objects")
        return objects


def _where(facts: list[Fact], attribute: str, text: str) -> list[Fact]:
    """Return the facts whose attribute equals a text, or if there are none, has the same normalised form."""
    normalized = normalize(text)
    exact = [fact for fact in facts if getattr(fact, attribute) == text]
    return exact or [fact for fact in facts if normalize(getattr(fact, attribute)) == normalized]


def _check_ascending(*arrays: Ints) -> None:
    """Raise ValueError if an array is not in ascending order."""
    for values in arrays:
        if len(values) and (values[1:] < values[:-1]).any():
            raise ValueError("numbers that are not in ascending order")
