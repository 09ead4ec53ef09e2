"""Files of a knowledge graph, memory-mapped.

    G.kg/manifest.json          contents of the graph (`GraphManifest`) and its current generation; written last
    G.kg/3f9a61c2/              the files of that generation, each with its size and SHA-256 in the manifest:
        vocab.txt               vocabulary of the tokenizer whose ids the prefix tree is built on
        {names,predicates,meanings}.{trie,tokens,offsets,firsts,ids,ranks}          see `StringTable`
        key_{starts,predicates,meanings}, heavy_{nodes,starts,tokens,children}      see `PrefixTree`
        variants.{trie,starts,spellings}    names that differ from their normalised form (see `spelling_variants`)
        extra_rows, odd_rows, spellings     keys with several triples; triples with other surface forms (see `Graph`)
        objects, object_blocks  zlib blocks of `BLOCK` objects, separated by 0xff, which UTF-8 never contains; the
                                start of each block

`meanings` in file names are the senses of entities.

A graph is a folder, because marisa-trie maps whole files only, and because generations make a rebuild atomic: a build
writes a new generation and then the manifest, so a killed build leaves the old graph intact.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

import marisa_trie
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import FileEntry
from nlpkit.core.io.folders import FolderKind
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.text.tokenizer import KINDS
from nlpkit.errors import DataError, NlpkitError
from nlpkit.tasks.kgqa.graph.prefix_tree import (
    DAMAGE_ERRORS,
    DamageHandler,
    HeavyNodes,
    Ints,
    Keys,
    TokenForms,
    reraise,
)
from nlpkit.tasks.kgqa.graph.spelling_variants import VARIANT_ARRAYS, VARIANT_TRIE, Variants
from nlpkit.version import __version__

MANIFEST, LOCK = "manifest.json", ".lock"
FORMAT = 2  # format 1 had no variants
BLOCK = 128  # objects per compressed block; larger blocks are smaller on disk and slower to read one object from
SEPARATOR = b"\xff"
COMPONENTS = ("names", "predicates", "meanings")
COMPONENT_ARRAYS = ("tokens", "offsets", "firsts", "ids", "ranks")
KEY_ARRAYS = ("key_starts", "key_predicates", "key_meanings")
HEAVY_ARRAYS = ("heavy_nodes", "heavy_starts", "heavy_tokens", "heavy_children")
MAX_BLOCK_BYTES = 1 << 26  # of a block of objects after decompression
GENERATION = re.compile("[0-9a-f]{8}")
_UNSIGNED = ("|u1", "<u2", "<u4", "<u8")


class TokenizerSettings(TypedDict):
    """Tokenizer of a graph: its settings (see `CharTokenizer`), the id of [SEP], and the fingerprint."""

    kind: str
    lowercase: bool
    normalize: NotRequired[bool]
    sep_id: Count
    fingerprint: str


class Counts(TypedDict):
    """Counts of a graph, shown by `nlpkit graph info`."""

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
    """Contents of manifest.json.

    Attributes:
        generation: name of the folder with the current files.
        files: size and checksums of each file.
        tokenizer: settings of the tokenizer.
        counts: counts of triples, keys and strings.
        sources: names of the files that the graph was built from.
        version: version of nlpkit that wrote the graph.
        format: version of the folder's format.
    """

    generation: str
    files: dict[str, FileEntry]
    tokenizer: TokenizerSettings
    counts: Counts
    sources: list[str] = field(default_factory=list)
    version: str = __version__
    format: int = FORMAT


KIND = FolderKind(
    "a graph", MANIFEST, GraphManifest, {"generation": None, "files": None}, (LOCK,),
    DataError, "build the graph again", (FORMAT, FORMAT),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StringTable:
    """Distinct strings of one component of the keys: names, predicates or senses.

    Strings with equal tokens (iPhone, IPHONE) are *surface forms* of one *token form*. Token forms are numbered in
    token-lexicographic order, surface forms by their token form and then in the order of reading. f token forms,
    n surface forms.

    Attributes:
        trie: marisa-trie of the strings, with its own numbering.
        forms: token sequences.
        firsts: [f + 1] first surface form of each token form.
        ids: [n] trie number of each surface form.
        ranks: [n] surface form of each trie number.
        damaged: maps an exception caused by a damaged file to the error to raise.
    """

    trie: Any
    forms: TokenForms
    firsts: Ints
    ids: Ints
    ranks: Ints
    damaged: DamageHandler = reraise

    def __len__(self) -> int:
        """Return the number of surface forms."""
        return len(self.ids)

    def text(self, surface_form: int) -> str:
        """Return the string of a surface form."""
        try:
            text: str = self.trie.restore_key(int(self.ids[surface_form]))
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None
        return text

    def find(self, text: str) -> int | None:
        """Return the surface form with this string; None if there is none."""
        number = self.trie.get(text)
        if number is None:
            return None
        try:
            surface_form = int(self.ranks[number])
            if self.ids[surface_form] != number:
                raise ValueError("a name that maps to another name")
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None
        return surface_form

    def form_of(self, surface_form: int) -> int:
        """Return the token form of a surface form."""
        form = bisect_right(self.firsts.data, surface_form) - 1
        if not (0 <= form < len(self.firsts) - 1 and self.firsts[form] <= surface_form < self.firsts[form + 1]):
            raise self.damaged(ValueError("a surface form without a token form"))
        return form

    def surface_forms(self, form: int) -> list[str]:
        """Return the strings of all surface forms of a token form."""
        return [self.text(number) for number in range(self.first(form), self.first(form + 1))]

    def first(self, form: int) -> int:
        """Return the first surface form of a token form; for form f, the number of surface forms."""
        try:
            return int(self.firsts[form])
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None


class Files:
    """Reader of the files of a graph's current generation.

    Opening compares all file sizes with the manifest, and the checksums of the tries, because a damaged trie could
    crash the process, and of the smallest other files (`core.io.artefacts`). Types and lengths of the arrays and the
    edges of the heavy nodes are checked, too. Values of larger arrays are compared with their bounds where they are
    used. `check` compares all checksums.

    Raises:
        DataError: a file is missing, damaged or has another size, or the files are inconsistent.
    """

    def __init__(self, folder: Path, manifest: GraphManifest):
        self.manifest = manifest
        self.reader = KIND.reader(folder / manifest.generation)
        if self.reader.folder.is_symlink():
            raise self.reader.failure("", "is a link; a generation is a folder")
        self.reader.check(manifest.files, first=[f"{name}.trie" for name in (*COMPONENTS, "variants")])

    def array(self, name: str, length: int | None = None, *more: int, dtypes: tuple[str, ...] = _UNSIGNED) -> Any:
        """Return a memory-mapped array of shape (length, *more); None stands for any length."""
        return self.reader.array(self._listed(f"{name}.npy"), dtypes, (length, *more))

    def strings(self, name: str) -> StringTable:
        """Return the memory-mapped strings of a component."""
        tokens, ids, ranks = (self.array(f"{name}.{array}") for array in ("tokens", "ids", "ranks"))
        offsets, firsts = self.array(f"{name}.offsets"), self.array(f"{name}.firsts")
        path, trie = f"{name}.trie", self._trie(f"{name}.trie")
        lengths = {len(ids), len(ranks), len(trie), int(firsts[-1]) if len(firsts) else -1}
        if len(lengths) > 1 or len(offsets) != len(firsts) or int(offsets[-1]) != len(tokens):
            raise self.reader.failure(path, "differs from its arrays in the number of strings")
        return StringTable(trie, TokenForms(tokens, offsets), firsts, ids, ranks, self.damaged)

    def variants(self, names: int) -> Variants:
        """Return the memory-mapped spelling variants of a graph with this number of names."""
        starts, surface_forms = (self.array(name) for name in VARIANT_ARRAYS)
        trie = self._trie(VARIANT_TRIE)
        if len(starts) != len(trie) + 1 or starts[-1] != len(surface_forms) or (surface_forms >= names).any():
            raise self.reader.failure(VARIANT_TRIE, "does not fit its arrays")
        return Variants(trie, starts, surface_forms)

    def keys(self, names: int) -> Keys:
        """Return the keys of a graph with this number of names."""
        starts = self.array(KEY_ARRAYS[0], names + 1)
        keys = Keys(starts, *(self.array(name, int(starts[-1])) for name in KEY_ARRAYS[1:]))
        if starts[0]:
            raise self.reader.failure(f"{KEY_ARRAYS[0]}.npy", "does not begin with 0")
        return keys

    def heavy_nodes(self, names: int, keys: int) -> HeavyNodes:
        """Return the heavy nodes of a tree with these numbers of names and keys."""
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
        """Return the error to raise for an exception caused by values out of bounds or text that cannot be decoded."""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return self.reader.failure("", f"a file is damaged ({what})", "nlpkit graph info --check names it")

    def check(self) -> None:
        """Compare the checksums of all files with the manifest.

        Raises:
            DataError: a file was changed or damaged.
        """
        self.reader.verify(self.manifest.files)

    def _trie(self, name: str) -> Any:
        try:
            return marisa_trie.Trie().mmap(str(self.reader.folder / self._listed(name)))
        except RuntimeError as error:
            raise self.reader.failure(name, f"is not a trie ({error})") from None

    def _listed(self, name: str) -> str:
        if name not in self.manifest.files:
            raise self.reader.failure(name, "is not in the manifest")
        return name


def read_manifest(folder: Path) -> GraphManifest:
    """Return the manifest of a graph.

    Raises:
        DataError: there is no manifest, or it is broken or of another version.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file; a graph is a folder, made by: nlpkit graph build", str(folder))
    try:
        manifest = KIND.read(folder)
    except FileNotFoundError:
        kind = "is not a graph" if folder.exists() else "no such graph"
        cure = f"make one: nlpkit graph build TRIPLES… -o {folder}"
        raise DataError(f"{kind} (or its build did not finish); {cure}", str(folder)) from None
    if not GENERATION.fullmatch(manifest.generation):
        raise KIND.reader(folder).failure(MANIFEST, f"has the invalid generation {manifest.generation[:40]!r}")
    if manifest.tokenizer["kind"] not in KINDS:
        raise KIND.reader(folder).failure(MANIFEST, f"unknown tokenizer kind {manifest.tokenizer['kind'][:40]!r}")
    return manifest
