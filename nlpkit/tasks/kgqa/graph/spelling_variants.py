"""Lookup of entity names by their normalised form: 紅樓夢 finds 红楼梦, and ＰＹＴＨＯＮ finds Python.

    variants.trie         normalised forms of the names that differ from their normalised form
    variants.starts       start of each normalised form's names in:
    variants.spellings    names, as surface forms of `store.StringTable`

A name that equals its normalised form, as nearly all Chinese names do, is found in the trie of names itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marisa_trie
import numpy as np

from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.kgqa.graph.prefix_tree import Ints

VARIANT_TRIE = "variants.trie"
VARIANT_ARRAYS = ("variants.starts", "variants.spellings")


@dataclass(frozen=True, slots=True)
class Variants:
    """Names that differ from their normalised form; f normalised forms, n names.

    Attributes:
        trie: marisa-trie of the normalised forms, with its own numbering.
        starts: [f + 1] first name of each normalised form.
        surface_forms: [n] names, as surface forms of the table of names.
    """

    trie: Any
    starts: Ints
    surface_forms: Ints

    def find(self, normalized: str) -> list[int]:
        """Return the surface forms with this normalised form, in ascending order."""
        if normalized not in self.trie:
            return []
        number = self.trie[normalized]
        numbers: list[int] = self.surface_forms[int(self.starts[number]) : int(self.starts[number + 1])].tolist()
        return numbers


def write_variants(folder: Path, names: Iterable[str], surface_forms: Ints) -> None:
    """Write the files of the variants.

    Args:
        folder: folder of the generation.
        names: all names.
        surface_forms: surface form of each name.
    """
    variants: defaultdict[str, list[int]] = defaultdict(list)
    for name, surface_form in zip(names, surface_forms.tolist(), strict=True):
        normalized = normalize(name)
        if normalized != name:
            variants[normalized].append(surface_form)
    trie = marisa_trie.Trie(variants)
    trie.save(str(folder / VARIANT_TRIE))
    groups = [sorted(variants[trie.restore_key(number)]) for number in range(len(trie))]
    starts = np.cumsum([0, *map(len, groups)])
    for name, values in zip(VARIANT_ARRAYS, (starts, [number for group in groups for number in group]), strict=True):
        np.save(folder / f"{name}.npy", np.array(values, dtype="<u4"))
