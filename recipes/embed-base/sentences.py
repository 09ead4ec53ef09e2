"""Print the sentences of files of pairs, each once: python recipes/embed-base/sentences.py FILES…"""

import sys
from collections.abc import Sequence

from nlpkit.tasks.embed.data import read_pairs


def main(files: Sequence[str]) -> None:
    """Print the sentences in one line each."""
    for sentence in dict.fromkeys(text for pair in read_pairs(files) for text in (pair.first, pair.second)):
        print(" ".join(sentence.split()))


if __name__ == "__main__":
    main(sys.argv[1:])
