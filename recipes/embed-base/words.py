"""Print the most frequent Chinese words of jieba's dictionary: python recipes/embed-base/words.py COUNT"""

import re
import sys

import jieba

CHINESE = re.compile(r"[一-鿿]{2,6}")


def main(count: int) -> None:
    """Print the words of 2 to 6 characters, the most frequent one first."""
    with jieba.get_dict_file() as stream:
        entries = [line.split() for line in stream.read().decode("utf-8").splitlines()]
    words = [(int(frequency), word) for word, frequency, *_ in entries if CHINESE.fullmatch(word)]
    for _, word in sorted(words, reverse=True)[:count]:
        print(word)


if __name__ == "__main__":
    main(int(sys.argv[1]))
