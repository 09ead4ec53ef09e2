"""Names of a graph by their normal forms: 紅樓夢 finds 红楼梦, and ＰＹＴＨＯＮ finds Python.

    variants.trie         the normal forms of the names that are not written in their normal form; it numbers them
    variants.starts       where the names of each form begin in:
    variants.spellings    the names, by their number in `store.Part`

A name that is written in its normal form, as nearly all Chinese names are, is found in the trie of names itself.
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

TRIE = "variants.trie"
ARRAYS = ("variants.starts", "variants.spellings")


@dataclass(frozen=True, slots=True)
class Variants:
    """The names that are not written in their normal form; f forms, n names.

    Attributes:
        trie: the normal forms; it numbers them in its own way.
        starts: [f + 1] the first name of each form.
        spellings: [n] the names, as spellings of the part.
    """

    trie: Any
    starts: Ints
    spellings: Ints

    def find(self, form: str) -> list[int]:
        """Return the spellings whose normal form this is, in the order of the part."""
        if form not in self.trie:
            return []
        number = self.trie[form]
        found: list[int] = self.spellings[int(self.starts[number]) : int(self.starts[number + 1])].tolist()
        return found


def write_variants(folder: Path, names: Iterable[str], spellings: Ints) -> None:
    """Write the files.

    Args:
        folder: of the generation.
        names: all names.
        spellings: the spelling of each.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for name, spelling in zip(names, spellings.tolist(), strict=True):
        form = normalize(name)
        if form != name:
            found[form].append(spelling)
    trie = marisa_trie.Trie(found)
    trie.save(str(folder / TRIE))
    forms = [sorted(found[trie.restore_key(number)]) for number in range(len(trie))]
    starts = np.cumsum([0, *map(len, forms)])
    for name, values in zip(ARRAYS, (starts, [spelling for form in forms for spelling in form]), strict=True):
        np.save(folder / f"{name}.npy", np.array(values, dtype="<u4"))
