"""Relations to spans and links and back: by hand, against a slow search, in windows, and over the published data."""

import math
import random
import tarfile
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linker_support import random_factors, round_trip

from nlpkit.core.io.records import Line
from nlpkit.core.spans.linked import Linked
from nlpkit.core.spans.spans import SpanIndex, max_candidates
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.vocabulary import build_vocabulary
from nlpkit.core.text.windows import Window
from nlpkit.tasks.relation.codec import OBJECT, SUBJECT, Pair, aligned, assemble, decode, encode
from nlpkit.tasks.relation.data import Example, Relation, Span, predicates_of
from nlpkit.tasks.relation.formats import read_examples
from nlpkit.tasks.relation.task import RelationSettings, RelationTask

TOKENIZER = CharTokenizer(SPECIALS)
TEXT = "《三体》的作者是刘慈欣，导演是张番番"
PREDICATES = ("作者", "作品", "导演")


def relation(subject, predicate, other):
    return Relation(Span(*subject), predicate, Span(*other))


def example(text, *relations):
    return Example(text, tuple(sorted(relations)), Line("", "gold", 1))


CASES = {
    "one": [relation((1, 3), "作者", (8, 11))],
    "a subject of two": [relation((1, 3), "作者", (8, 11)), relation((1, 3), "导演", (15, 18))],
    "two ways": [relation((1, 3), "作者", (8, 11)), relation((8, 11), "作品", (1, 3))],
    "two predicates": [relation((1, 3), "作者", (8, 11)), relation((1, 3), "导演", (8, 11))],
    "the object first": [relation((8, 11), "作品", (1, 3))],
    "nested": [relation((0, 4), "作者", (8, 9)), relation((1, 3), "导演", (8, 11))],
    "one in the other": [relation((0, 4), "作品", (1, 3))],
    "with itself": [relation((1, 3), "作品", (1, 3))],
    "nothing": [],
}


@pytest.mark.parametrize("relations", CASES.values(), ids=CASES)
def test_relations_come_back(relations):
    gold = example(TEXT, *relations)
    assert round_trip(RelationTask(RelationSettings(PREDICATES)), gold, TOKENIZER) == list(gold.relations)


def test_cells():
    encoding = TOKENIZER.encode("在 甲乙的丙丁")  # tokens 在甲乙的丙丁
    ids = {"作者": 3}
    targets = encode([relation((2, 4), "作者", (5, 7))], encoding, Window(0, 6), ids)
    assert targets.spans == [(SpanIndex(SUBJECT, 2, 3),), (SpanIndex(OBJECT, 5, 6),)]
    assert (targets.heads, targets.tails) == ([(SpanIndex(3, 2, 5),)], [(SpanIndex(3, 3, 6),)])
    back = encode([relation((5, 7), "作者", (2, 4))], encoding, Window(0, 6), ids)
    assert (back.heads, back.tails) == ([(SpanIndex(3, 5, 2),)], [(SpanIndex(3, 6, 3),)])  # links know no triangle
    assert encode([relation((2, 4), "作者", (5, 7))], encoding, Window(0, 5), ids).spans == []
    assert aligned([relation((0, 1), "作者", (1, 2))], encoding) == []


def test_alternatives_in_the_window_are_cells_of_one_positive():
    encoding = TOKENIZER.encode("甲和乙，甲、乙")
    spans = [((0, 1), (2, 3)), ((4, 5), (6, 7)), ((0, 1), (6, 7))]
    pairs = tuple((Span(*subject), Span(*other)) for subject, other in spans)
    guess = Relation(*(pairs[0][0], "作者", pairs[0][1]), alternatives=pairs)
    targets = encode([guess, relation((4, 5), "导演", (2, 3))], encoding, Window(0, 7), {"作者": 0, "导演": 1})
    subjects, objects = ([SpanIndex(label, at, at) for at in places] for label, places in ((0, (1, 5)), (1, (3, 7))))
    assert targets.spans == [tuple(subjects), tuple(objects), (subjects[1],), (objects[0],)]
    links = tuple(SpanIndex(0, *cell) for cell in ((1, 3), (5, 7), (1, 7)))
    assert targets.heads == targets.tails == [links, (SpanIndex(1, 5, 3),)]
    part = encode([guess], encoding, Window(3, 7), {"作者": 0})
    assert part.heads == [(SpanIndex(0, 2, 4),)]  # the pair that the window holds
    assert encode([guess], encoding, Window(3, 6), {"作者": 0}).heads == []


def slow(outputs, mask, row, threshold=0.0):
    """Pairs with their scores, by loops over the four dense logits."""
    spans, heads, tails = (factors.dense()[row] for factors in (outputs.spans, outputs.heads, outputs.tails))
    inner = range(1, int(mask[row].sum()) - 1)
    found = [
        [(i, j) for i in inner for j in inner if i <= j and spans[label, i, j] > threshold]
        for label in (SUBJECT, OBJECT)
    ]
    pairs = {}
    for i, j in found[SUBJECT]:
        for k, m in found[OBJECT]:
            for predicate in range(len(heads)):
                weakest = min(spans[SUBJECT, i, j], spans[OBJECT, k, m], heads[predicate, i, k], tails[predicate, j, m])
                if weakest > threshold:
                    pairs[predicate, (i, j), (k, m)] = 1 / (1 + math.exp(-weakest))
    return found, pairs


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_search_is_that_of_the_slow_one(seed):
    generator = torch.Generator().manual_seed(seed)
    spans, mask = random_factors(generator, 3, 2, 10, bias=-1.2)
    heads, tails = (random_factors(generator, 3, 4, 10, bias=-0.3, triangle=False)[0] for _ in range(2))
    outputs = Linked(spans, heads, tails)
    for row, pairs in enumerate(decode(outputs, mask, 0.5)):
        found, expected = slow(outputs, mask, row)
        most = int(max_candidates(mask)[row])
        if len(found[0]) + len(found[1]) <= most and len(found[0]) * len(found[1]) <= most and len(expected) <= most:
            assert {(p.predicate, p.subject, p.object): p.score for p in pairs} == pytest.approx(expected)
        assert len(pairs) <= most


def test_a_triple_of_strings_is_returned_once_at_its_most_probable_place():
    text = "甲的父亲是乙，乙是甲的父亲"
    document = Document.of(text, TOKENIZER, 64)
    predicates = ("父亲", "朋友")
    near, far = ((1, 1), (6, 6)), ((10, 10), (8, 8))  # 甲 and 乙, as tokens after [CLS]
    pairs = [Pair(0, *near, 0.6), Pair(0, *far, 0.8), Pair(1, *near, 0.7), Pair(1, *far, 0.7)]
    answer = assemble(document, [pairs], predicates, 0.5)
    assert [(r.triple(text), r.subject.start, r.score) for r in answer] == [
        (("甲", "朋友", "乙"), 0, 0.7),
        (("甲", "父亲", "乙"), 9, 0.8),
    ]


def test_thresholds_and_wanted_predicates():
    document = Document.of(TEXT, TOKENIZER, 64)
    found = [[Pair(0, (2, 3), (9, 11), 0.6), Pair(2, (2, 3), (16, 18), 0.4)]]
    low, high = (assemble(document, found, PREDICATES, threshold) for threshold in (0.3, 0.5))
    assert [(r.predicate, r.score) for r in low] == [("作者", 0.6), ("导演", 0.4)]
    assert high == [relation((1, 3), "作者", (8, 11))]
    assert assemble(document, found, PREDICATES, 0.3, {"导演"}) == [relation((1, 3), "导演", (15, 18))]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(16, 40))
def test_relations_narrower_than_the_overlap_come_back_from_windows(seed, limit):
    chance = random.Random(seed)
    text, relations = "", []
    for number in range(6):
        text += "今天天气很好。" * chance.randint(1, 3)
        start = len(text)
        text += f"{chr(0x4E00 + number)}的{chr(0x5E00 + number)}"
        ends = [(start, start + 1), (start + 2, start + 3)]
        chance.shuffle(ends)
        relations.append(relation(ends[0], chance.choice(PREDICATES), ends[1]))
    gold = example(text, *relations)
    assert round_trip(RelationTask(RelationSettings(PREDICATES)), gold, TOKENIZER, limit) == list(gold.relations)


ONE = example(TEXT, *CASES["one"])


def representable(gold, encoding):
    """Whether the four-way intersection of the gold spans holds nothing but the gold."""
    items = {(r.predicate, *pairs[0]) for r, pairs in aligned(gold.relations, encoding)}
    heads, tails = ({(p, s[end], o[end]) for p, s, o in items} for end in (0, 1))
    crossed = {
        (p, s, o)
        for p in {p for p, _, _ in items}
        for s in {s for _, s, _ in items}
        for o in {o for _, _, o in items}
        if (p, s[0], o[0]) in heads and (p, s[1], o[1]) in tails
    }
    return crossed == items


def counted(paths, format):
    """(misaligned, not representable) texts; all others must come back."""
    examples = list(read_examples(paths, format))
    tokenizer = CharTokenizer(build_vocabulary(e.text for e in examples))
    kinds = Counter()
    for gold in examples:
        document = Document.of(gold.text, tokenizer, 512)
        task = RelationTask(RelationSettings(predicates_of([gold, ONE], [])))
        if task.misaligned(gold, document):
            kinds["misaligned"] += 1
        elif not representable(gold, document.encoding):
            kinds["crossed"] += 1
        else:
            assert round_trip(task, gold, tokenizer) == list(gold.relations), gold.text
    return kinds["misaligned"], kinds["crossed"]


@pytest.mark.data
@pytest.mark.slow
def test_gold_comes_back_wherever_links_can_say_it(data):
    assert counted([str(data / "relation/duie2_sample/train_5000.json")], "duie") == (2, 2)


@pytest.mark.data
@pytest.mark.slow
def test_the_same_of_cmeie(data, tmp_path):
    with tarfile.open(data / "more.tar.xz") as archive:
        names = ["relation/cmeie/CMeIE_dev.jsonl", "relation/cmeie_sample/CMeIE_train.json"]
        members = [member for member in archive if any(member.name.endswith(name) for name in names)]
        archive.extractall(tmp_path, members, filter="data")
    paths = [str(tmp_path / member.name) for member in members]
    assert len(paths) == 2
    assert counted(paths, "cmeie") == (2, 2)
