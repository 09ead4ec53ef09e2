"""Print the most frequent Chinese words of jieba's dictionary: python recipes/embed-base/words.py COUNT"""

import re
import sys

import jieba

CHINESE = re.compile(r"[一-鿿]{2,6}")

entries = [line.split() for line in jieba.get_dict_file().read().decode("utf-8").splitlines()]
words = [(int(frequency), word) for word, frequency, *_ in entries if CHINESE.fullmatch(word)]
for _, word in sorted(words, reverse=True)[: int(sys.argv[1])]:
    print(word)
