"""Print the sentences of files of pairs, each once: python recipes/embed-base/sentences.py FILES…"""

import sys

from nlpkit.tasks.embed.data import read_pairs

for sentence in dict.fromkeys(text for pair in read_pairs(sys.argv[1:]) for text in (pair.first, pair.second)):
    print(" ".join(sentence.split()))
