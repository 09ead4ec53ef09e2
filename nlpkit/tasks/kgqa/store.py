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

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import marisa_trie
import numpy as np

from nlpkit import __version__
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa import variants
from nlpkit.tasks.kgqa.prefix_tree import Forms, Ints
from nlpkit.tasks.kgqa.variants import Variants

MANIFEST = "manifest.json"
FORMAT = 2  # 1 had no variants
BLOCK = 128  # objects that are compressed together: 20 µs to read one, and 9 % more bytes than with 512
SEPARATOR = b"\xff"
PARTS = ("names", "predicates", "meanings")
PART_ARRAYS = ("tokens", "offsets", "firsts", "ids", "ranks")
KEY_ARRAYS = ("key_starts", "key_predicates", "key_meanings")
HEAVY_ARRAYS = ("heavy_nodes", "heavy_starts", "heavy_tokens", "heavy_children")


@dataclass(slots=True)
class GraphManifest:
    """What manifest.json holds.

    Attributes:
        generation: the folder of the current files.
        files: their `bytes` and `sha256`.
        tokenizer: its settings, `sep_id` and `fingerprint`.
        counts: see `build._counts`.
        sources: the files that it was built from.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    generation: str
    files: dict[str, dict[str, Any]]
    tokenizer: dict[str, Any]
    counts: dict[str, Any]
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
    """

    trie: Any
    forms: Forms
    firsts: Ints
    ids: Ints
    ranks: Ints

    def __len__(self) -> int:
        """The number of spellings."""
        return len(self.ids)

    def string(self, spelling: int) -> str:
        """A spelling as it was written."""
        text: str = self.trie.restore_key(int(self.ids[spelling]))
        return text

    def find(self, text: str) -> int | None:
        """The spelling that is this text, where there is one."""
        return int(self.ranks[self.trie[text]]) if text in self.trie else None

    def form_of(self, spelling: int) -> int:
        """The form of a spelling."""
        return bisect_right(self.firsts.data, spelling) - 1

    def spellings(self, form: int) -> list[str]:
        """All spellings of a form."""
        return [self.string(spelling) for spelling in range(int(self.firsts[form]), int(self.firsts[form + 1]))]


class Files:
    """The files of a graph's current generation, checked for their size."""

    def __init__(self, folder: Path, manifest: GraphManifest):
        self.folder, self.manifest = folder / manifest.generation, manifest
        for name, entry in manifest.files.items():
            path = self.folder / name
            size = path.stat().st_size if path.exists() else 0
            if size != entry["bytes"]:
                raise DataError(f"has {size:,} bytes, not {entry['bytes']:,}; build the graph again", str(path))

    def array(self, name: str) -> Any:
        """An array, mapped."""
        # As a plain array: each slice of a memmap costs a microsecond more.
        return np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r"))

    def part(self, name: str) -> Part:
        """The strings of a part, mapped."""
        arrays = {array: self.array(f"{name}.{array}") for array in PART_ARRAYS}
        trie = marisa_trie.Trie().mmap(str(self.folder / f"{name}.trie"))
        return Part(trie, Forms(arrays["tokens"], arrays["offsets"]), arrays["firsts"], arrays["ids"], arrays["ranks"])

    def variants(self) -> Variants:
        """The names that are not written in their normal form, mapped."""
        trie = marisa_trie.Trie().mmap(str(self.folder / variants.TRIE))
        return Variants(trie, *map(self.array, variants.ARRAYS))


def read_manifest(folder: Path) -> GraphManifest:
    """The manifest of a graph.

    Raises:
        DataError: there is none, it is broken or of another version.
    """
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            maker = f"a graph of nlpkit {fields.get('version', '?')}"
            raise DataError(f"is {maker}, which this one ({__version__}) cannot read; build it again", str(folder))
        return GraphManifest(**fields)
    except FileNotFoundError:
        kind = "is not a graph" if folder.exists() else "no such graph"
        cure = f"make one: nlpkit graph build TRIPLES… -o {folder}"
        raise DataError(f"{kind} (or its build did not finish); {cure}", str(folder)) from None
    except NotADirectoryError:
        raise DataError("is a file; a graph is a folder, made by: nlpkit graph build", str(folder)) from None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"broken ({error}); build the graph again", str(path)) from None


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
