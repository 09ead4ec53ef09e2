"""Write nlpkit/core/text/simplified.tsv: the characters that OpenCC's t2s maps one to one.

    pip install opencc && python recipes/characters/simplified.py

nlpkit reads the file and does not import OpenCC: token ids, which graphs on disk depend on, must not change with the
version of a library that happens to be installed.
"""

from importlib.metadata import version
from pathlib import Path

import opencc

TABLE = Path(__file__).parents[2] / "nlpkit" / "core" / "text" / "simplified.tsv"
BLOCKS = ((0x2E80, 0xA000), (0xF900, 0xFB00), (0x20000, 0x33480))  # of Chinese characters in Unicode


def pairs() -> list[tuple[str, str]]:
    """Traditional and simplified characters, for each character that t2s changes into one other."""
    convert = opencc.OpenCC("t2s").convert
    characters = [chr(code) for block in BLOCKS for code in range(*block)]
    # A line each, so that no phrase of OpenCC's dictionaries spans two of them.
    converted = convert("\n".join(characters)).split("\n")
    return [(old, new) for old, new in zip(characters, converted, strict=True) if old != new and len(new) == 1]


def main() -> None:
    """Write the table."""
    source = f"OpenCC {version('opencc')} (Apache-2.0, github.com/BYVoid/OpenCC)"
    head = f"# Traditional to simplified characters, from {source}"
    lines = [head, *("\t".join(pair) for pair in pairs())]
    TABLE.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
