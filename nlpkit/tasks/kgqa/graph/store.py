"""A knowledge graph on disk, mapped and not loaded.

    G.kg/manifest.json          what is in it (`GraphManifest`), which generation is the current one; written last
    G.kg/3f9a61c2/              the files of that generation, each with its size and SHA-256 in the manifest:
        vocab.txt               of the tokenizer whose ids the tree is over
        {names,predicates,meanings}.{trie,tokens,offsets,firsts,ids,ranks}          see `Part`
        key_{starts,predicates,meanings}, heavy_{nodes,starts,tokens,children}      see `PrefixTree`
        variants.{trie,starts,spellings}    names that are not written in their normal form (see `variants`)
        extra_rows, odd_rows, spellings    keys with several triples, triples spelled otherwise (see `Graph`)
        objects, object_blocks  zlib blocks of `BLOCK` objects, divided by 0xff, which is no UTF-8; where each begins

A graph is a folder, because marisa-trie maps whole files only, and because a folder of generations is replaced in one
step: a build writes a new generation and then the manifest, so a killed one leaves the old graph as it was.

20.56 million triples with the counts of KgCLUE's, 1.27 GB as TSV, are 0.7 GB: three fifths of it objects, 165 MB keys,
78 MB names. It opens in 65 ms; a process that has looked up 20,000 facts all over it holds 29 MB of its own and 650 MB
of mapped pages, which the system takes back when it needs them.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import marisa_trie
from typing_extensions import NotRequired, TypedDict

from nlpkit import __version__
from nlpkit.core.io.artefacts import FileEntry, Reader
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.text.tokenizer import KINDS
from nlpkit.errors import DataError, NlpkitError
from nlpkit.tasks.kgqa.graph import spelling_variants as variants
from nlpkit.tasks.kgqa.graph.prefix_tree import DAMAGE, Damaged, Forms, HeavyNodes, Ints, Keys, as_it_is
from nlpkit.tasks.kgqa.graph.spelling_variants import Variants

MANIFEST = "manifest.json"
FORMAT = 2  # 1 had no variants
BLOCK = 128  # objects that are compressed together: 20 µs to read one, and 9 % more bytes than with 512
SEPARATOR = b"\xff"
PARTS = ("names", "predicates", "meanings")
PART_ARRAYS = ("tokens", "offsets", "firsts", "ids", "ranks")
KEY_ARRAYS = ("key_starts", "key_predicates", "key_meanings")
HEAVY_ARRAYS = ("heavy_nodes", "heavy_starts", "heavy_tokens", "heavy_children")
CURE = "build the graph again"
LARGEST_BLOCK = 1 << 26  # bytes of a block of objects once decompressed
GENERATION = re.compile("[0-9a-f]{8}")
_UNSIGNED = ("|u1", "<u2", "<u4", "<u8")


class TokenizerSettings(TypedDict):
    """Of a graph's tokenizer: what it is, the id that closes a part of a key, and what `CharTokenizer` calls so."""

    kind: str
    lowercase: bool
    normalize: NotRequired[bool]
    sep_id: Count
    fingerprint: str


class Counts(TypedDict):
    """See `sorted_runs._counts`."""

    triples: Count
    keys: Count
    subjects: Count
    names: Count
    predicates: Count
    meanings: Count
    names_by_senses: dict[str, Count]
    duplicates: Count
    unknown_names: Count


@dataclass(slots=True)
class GraphManifest:
    """What manifest.json holds.

    Attributes:
        generation: the folder of the current files.
        files: what there is to say of each of them.
        tokenizer: see there.
        counts: see there.
        sources: the files that it was built from.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    generation: str
    files: dict[str, FileEntry]
    tokenizer: TokenizerSettings
    counts: Counts
    sources: list[str] = field(default_factory=list)
    version: str = __version__
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Part:
    """The distinct strings of one part of the keys: names, predicates or meanings.

    Strings that tokenise alike (iPhone, IPHONE) are *spellings* of one *form*; both are numbered in the order of the
    tokens. f forms, n spellings.

    Attributes:
        trie: the strings; it numbers them in its own way.
        forms: the token sequences.
        firsts: [f + 1] the first spelling of each form.
        ids: [n] the trie's number of each spelling.
        ranks: [n] the spelling of each of the trie's numbers.
        damaged: maps what is raised by a damaged file to the error to raise.
    """

    trie: Any
    forms: Forms
    firsts: Ints
    ids: Ints
    ranks: Ints
    damaged: Damaged = as_it_is

    def __len__(self) -> int:
        """The number of spellings."""
        return len(self.ids)

    def string(self, spelling: int) -> str:
        """A spelling as it was written."""
        try:
            text: str = self.trie.restore_key(int(self.ids[spelling]))
        except DAMAGE as error:
            raise self.damaged(error) from None
        return text

    def find(self, text: str) -> int | None:
        """The spelling that is this text, where there is one."""
        number = self.trie.get(text)
        if number is None:
            return None
        try:
            spelling = int(self.ranks[number])
            if self.ids[spelling] != number:
                raise ValueError("a name leads to another one")
        except DAMAGE as error:
            raise self.damaged(error) from None
        return spelling

    def form_of(self, spelling: int) -> int:
        """The form of a spelling."""
        form = bisect_right(self.firsts.data, spelling) - 1
        if not (0 <= form < len(self.firsts) - 1 and self.firsts[form] <= spelling < self.firsts[form + 1]):
            raise self.damaged(ValueError("a spelling of no name"))
        return form

    def spellings(self, form: int) -> list[str]:
        """All spellings of a form."""
        return [self.string(spelling) for spelling in range(self.first(form), self.first(form + 1))]

    def first(self, form: int) -> int:
        """The first spelling of a form; the number of spellings for the number of forms."""
        try:
            return int(self.firsts[form])
        except DAMAGE as error:
            raise self.damaged(error) from None


class Files:
    """The files of a graph's current generation.

    On opening, all sizes are compared with the manifest, and the checksums of the tries, whose damage could crash the
    process, and of the smallest other files (`core.io.artefacts`); the arrays must have the right types and lengths,
    and the heavy nodes lead down. What larger files say is compared with their bounds where it is used. `check`
    compares all checksums.

    Raises:
        DataError: a file is missing, damaged or of another size, or the files do not fit one another.
    """

    def __init__(self, folder: Path, manifest: GraphManifest):
        self.manifest = manifest
        self.reader = Reader(folder / manifest.generation, DataError, CURE)
        if self.reader.folder.is_symlink():
            raise self.reader.failure("", "is a link; a generation is a folder")
        self.reader.check(manifest.files, first=[f"{name}.trie" for name in (*PARTS, "variants")])

    def array(self, name: str, length: int | None = None, *more: int, dtypes: tuple[str, ...] = _UNSIGNED) -> Any:
        """Return an array, mapped; `length` and `more` are its shape, of any length where that is None."""
        return self.reader.array(self._listed(f"{name}.npy"), dtypes, (length, *more))

    def part(self, name: str) -> Part:
        """Return the strings of a part, mapped."""
        tokens, ids, ranks = (self.array(f"{name}.{array}") for array in ("tokens", "ids", "ranks"))
        offsets, firsts = self.array(f"{name}.offsets"), self.array(f"{name}.firsts")
        path, trie = f"{name}.trie", self._trie(f"{name}.trie")
        lengths = {len(ids), len(ranks), len(trie), int(firsts[-1]) if len(firsts) else -1}
        if len(lengths) > 1 or len(offsets) != len(firsts) or int(offsets[-1]) != len(tokens):
            raise self.reader.failure(path, "has another number of strings than its arrays")
        return Part(trie, Forms(tokens, offsets), firsts, ids, ranks, self.damaged)

    def variants(self, names: int) -> Variants:
        """Return the names that are not written in their normal form, of so many, mapped."""
        starts, spellings = (self.array(name) for name in variants.ARRAYS)
        trie = self._trie(variants.TRIE)
        if len(starts) != len(trie) + 1 or starts[-1] != len(spellings) or (spellings >= names).any():
            raise self.reader.failure(variants.TRIE, "does not fit its arrays")
        return Variants(trie, starts, spellings)

    def keys(self, names: int) -> Keys:
        """Return the keys of so many names."""
        starts = self.array(KEY_ARRAYS[0], names + 1)
        keys = Keys(starts, *(self.array(name, int(starts[-1])) for name in KEY_ARRAYS[1:]))
        if starts[0]:
            raise self.reader.failure(f"{KEY_ARRAYS[0]}.npy", "does not begin with 0")
        return keys

    def heavy_nodes(self, names: int, keys: int) -> HeavyNodes:
        """Return the heavy nodes of a tree over so many names and keys."""
        nodes = self.array("heavy_nodes", None, 4, dtypes=("<i8",))
        starts = self.array("heavy_starts", len(nodes) + 1, dtypes=("<i8",))
        tokens = self.array("heavy_tokens", int(starts[-1]), dtypes=("<i4",))
        heavy = HeavyNodes(nodes, starts, tokens, self.array("heavy_children", len(tokens), dtypes=("<i8",)))
        try:
            heavy.check(names, keys)
        except ValueError as error:
            raise self.reader.failure("heavy_nodes.npy", error) from None
        return heavy

    def damaged(self, error: Exception) -> NlpkitError:
        """Return the error to raise where what was read leads outside of a file, or cannot be decoded."""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return self.reader.kind(f"{self.reader.folder}: a file is damaged ({what}); nlpkit graph info --check names it")

    def check(self) -> None:
        """Compare the checksums of all files with the manifest.

        Raises:
            DataError: one was changed or damaged.
        """
        self.reader.verify(self.manifest.files)

    def _trie(self, name: str) -> Any:
        try:
            return marisa_trie.Trie().mmap(str(self.reader.folder / self._listed(name)))
        except RuntimeError as error:
            raise self.reader.failure(name, f"is no trie ({error})") from None

    def _listed(self, name: str) -> str:
        if name not in self.manifest.files:
            raise self.reader.failure(name, "is not in the manifest")
        return name


def read_manifest(folder: Path) -> GraphManifest:
    """Return the manifest of a graph.

    Raises:
        DataError: there is none, it is broken or of another version.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file; a graph is a folder, made by: nlpkit graph build", str(folder))
    reader = Reader(folder, DataError, CURE)
    try:
        value = reader.json(MANIFEST, dict)
    except FileNotFoundError:
        kind = "is not a graph" if folder.exists() else "no such graph"
        cure = f"make one: nlpkit graph build TRIPLES… -o {folder}"
        raise DataError(f"{kind} (or its build did not finish); {cure}", str(folder)) from None
    if value.get("format") != FORMAT:
        maker = f"a graph of nlpkit {str(value.get('version', '?'))[:20]}"
        raise DataError(f"is {maker}, which this one ({__version__}) cannot read; build it again", str(folder))
    manifest = reader.shaped(MANIFEST, value, GraphManifest)
    if not GENERATION.fullmatch(manifest.generation):
        raise reader.failure(MANIFEST, f"names a generation {manifest.generation[:40]!r}, which is none")
    if manifest.tokenizer["kind"] not in KINDS:
        raise reader.failure(MANIFEST, f"unknown tokenizer kind {manifest.tokenizer['kind'][:40]!r}")
    return manifest
