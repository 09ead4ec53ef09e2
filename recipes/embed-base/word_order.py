"""Write CoSENT triplets on word order: two words of one kind are exchanged, so 甲击败了乙 is not 乙击败了甲.

    python recipes/embed-base/word_order.py NUMBER CORPUS... > swaps.json

Function words, and the order of words joined by 和, also change: more in the positive sentence than in the negative
one, so that the smaller edit is not the similar sentence.
"""

import random
import sys
from collections.abc import Iterator

import jieba
import orjson
from jieba import posseg

from nlpkit.core.io.records import read_lines

Word = tuple[str, str]  # as it is written, and its part of speech as jieba names it

LENGTHS = range(14, 71)  # characters of a sentence
NAMES = ("nr", "ns", "nt", "nz", "t", "f", "m")  # kinds that are exchanged four times as often as common nouns
JOINTS = {"和", "、", "与", "及", "或", "跟", "以及", "或者"}
DROPPED = set("的了着呢啊吧吗呀也就都并则已将")
PAIRS = (
    "怎么 如何, 怎样 如何, 为什么 为何, 什么 啥, 哪里 哪儿, 可以 能, 能够 能, 并且 并, 但是 但, 由于 因为, 因此 所以, "
    "如果 要是, 例如 比如, 以及 和, 与 和, 担任 任, 称为 叫做, 成立 建立, 非常 十分, 目前 现在, 没有 没, 时候 时, "
    "认为 觉得, 是否 是不是, 已经 已, 进行 做, 需要 要"
)
WORDINGS = {a: b for pair in PAIRS.split(", ") for a, b in [pair.split(), pair.split()[::-1]]}


def exchanged(words: list[Word], chance: random.Random) -> list[Word] | None:
    """Return the words with two of one kind exchanged, or None if there are no two to exchange."""
    places: dict[str, list[int]] = {}
    for index, (word, flag) in enumerate(words):
        kind = next((kind for kind in (*NAMES, "n") if flag.startswith(kind)), None)
        if kind and (len(word) > 1 or kind in "mf"):
            places.setdefault(kind, []).append(index)
    found = [
        pair
        for kind, indices in places.items()
        for pair in [(a, b) for a in indices for b in indices if b > a + 1 and _differ(words, a, b)]
        for _ in range(4 if kind in NAMES else 1)
    ]
    return _with(words, *chance.choice(found)) if found else None


def reworded(words: list[Word], chance: random.Random, times: int) -> list[Word]:
    """Up to so many changes that leave the meaning as it is."""
    for _ in range(times):
        joints = [
            i for i in range(1, len(words) - 1) if words[i][0] in JOINTS and words[i - 1][1][0] == words[i + 1][1][0]
        ]
        droppable = [i for i, (word, _) in enumerate(words) if word in DROPPED]
        known = [i for i, (word, _) in enumerate(words) if word in WORDINGS]
        way = chance.random()
        if joints and way < 0.4:
            at = chance.choice(joints)
            words = _with(words, at - 1, at + 1)
        elif droppable and way < 0.7:
            at = chance.choice(droppable)
            words = words[:at] + words[at + 1 :]
        elif known:
            at = chance.choice(known)
            words = [*words[:at], (WORDINGS[words[at][0]], words[at][1]), *words[at + 1 :]]
    return words


def triplets(paths: list[str], chance: random.Random) -> Iterator[dict[str, str]]:
    """One for each statement of a corpus that has two words to exchange."""
    for line in read_lines(paths):
        if len(line.text) in LENGTHS and not line.text.endswith(("？", "?")):
            words = [(word, flag) for word, flag in posseg.cut(line.text)]
            other = exchanged(words, chance)
            if other:
                alike = _text(reworded(words, chance, chance.randint(2, 5)))
                unlike = _text(reworded(other, chance, chance.randint(0, 3)))
                yield {"query": line.text, "title": alike, "neg_title": unlike}


def _differ(words: list[Word], a: int, b: int) -> bool:
    joined = b == a + 2 and words[a + 1][0] in JOINTS
    return words[a][0] != words[b][0] and not joined


def _with(words: list[Word], a: int, b: int) -> list[Word]:
    result = list(words)
    result[a], result[b] = result[b], result[a]
    return result


def _text(words: list[Word]) -> str:
    return "".join(word for word, _ in words)


def main(number: int, *paths: str) -> None:
    """Write the first `number` triplets."""
    jieba.setLogLevel("CRITICAL")
    for _, triplet in zip(range(number), triplets(list(paths), random.Random(0)), strict=False):
        print(orjson.dumps(triplet).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
