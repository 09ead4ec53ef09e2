"""The corpus on disk: what is in it, when it is made again, and what bad input gets."""

import errno
import json
import lzma
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest
from support import NASTY, SENTENCE, vocabulary

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.tasks.pretrain.corpus import ID_BITS, WORD_START, build_corpus, open_corpus, tokenize

LINES = [f"{SENTENCE}第{number}个句子，PyTorch{number} 模型。" for number in range(300)]


@pytest.fixture
def tokenizer():
    return CharTokenizer(vocabulary("".join(LINES)))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


@pytest.fixture
def build(tokenizer, tmp_path):
    def run(*paths, **options):
        folder = options.pop("folder", tmp_path / "corpus")
        options = {"tokenizer": tokenizer, "held_out": 20, "processes": 1, **options}
        return build_corpus([str(path) for path in paths], folder=folder, **options)

    return run


def show(tokens, tokenizer):
    """The tokens, with | before the first of a word."""
    marks = ["|" if token & WORD_START else "" for token in tokens.tolist()]
    return "".join(mark + tokenizer.tokens[token & ID_BITS] for mark, token in zip(marks, tokens, strict=True))


def lines_of(ids, tokenizer):
    tokens = [tokenizer.tokens[token] for token in (ids & ID_BITS).tolist()]
    return "".join(token.removeprefix("##") for token in tokens).split("[SEP]")[:-1]


def test_words(tokenizer):
    assert show(tokenize(["叶老桂去了北京大学"], tokenizer), tokenizer) == "|叶|老|桂|去|了|北京大学|[SEP]"
    assert show(tokenize(["用 Torch2 吗", "", "\u200b", "是"], tokenizer)[1:7], tokenizer) == "|t##o##r##c##h##2"
    assert show(tokenize(["", " \t\u200b"], tokenizer), tokenizer) == ""


def test_a_word_that_begins_without_a_unit_still_begins(tokenizer):
    assert show(tokenize(["在\u200b在\ufeff在"], tokenizer), tokenizer) == "|在|在|在|[SEP]"


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_keep_their_tokens(text, tokenizer):
    ids = tokenizer.encode(text).ids
    tokens = tokenize([text], tokenizer)
    assert (tokens & ID_BITS).tolist() == ([*ids, tokenizer.sep_id] if ids else [])
    assert all(token & WORD_START for token in tokens[:1])


def test_every_line_is_kept_once_and_in_order(build, source, tokenizer):
    corpus = build(source)
    training, held_out = lines_of(corpus.tokens, tokenizer), lines_of(corpus.held_out, tokenizer)
    lines = [line.lower().replace(" ", "") for line in LINES]
    assert Counter(training + held_out) == Counter(lines)
    assert training == [line for line in lines if line in {*training}]
    assert 5 < len(held_out) < 40
    manifest = corpus.manifest
    assert (manifest.lines, manifest.held_out_lines) == (len(training), len(held_out))
    assert (manifest.tokens, manifest.held_out_tokens) == (len(corpus.tokens), len(corpus.held_out))
    assert manifest.characters == sum(map(len, LINES))
    assert manifest.sources == [{"name": "text.txt", "size": source.stat().st_size}]
    assert manifest.rare == 0


def test_rare_characters_are_counted(build, tmp_path):
    path = tmp_path / "rare.txt"
    path.write_text("\n".join([*LINES, "龘龘靐"]), encoding="utf-8")
    assert build(path).manifest.rare == 3


def test_workers_write_the_same(build, source, tmp_path):
    told = []
    build(source, folder=tmp_path / "one")
    options = {"processes": 2, "chunk_lines": 70, "progress": lambda *numbers: told.append(numbers)}
    build(source, folder=tmp_path / "two", **options)
    for name in ("tokens.bin", "held_out.bin"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert told == [("tokenizing", done, 300) for done in (70, 140, 210, 280, 300)]


def test_equal_lines_are_on_one_side(build, tmp_path, tokenizer):
    path = tmp_path / "twice.txt"
    path.write_text("\n".join(LINES * 2), encoding="utf-8")
    corpus = build(path)
    assert not {*lines_of(corpus.tokens, tokenizer)} & {*lines_of(corpus.held_out, tokenizer)}


def test_two_lines_are_enough_and_compressed_files_too(build, tmp_path):
    path = tmp_path / "two.txt.xz"
    path.write_bytes(lzma.compress("甲乙\n丙丁戊\n".encode()))
    corpus = build(path)
    assert sorted((len(corpus.tokens), len(corpus.held_out))) == [3, 4]


def test_a_finished_corpus_is_opened_at_once(build, source):
    manifest = build(source).manifest
    untouched = build(source, progress=lambda *_: pytest.fail("built again"))
    assert untouched.manifest == manifest


def test_an_unfinished_corpus_is_built_again(build, source, tmp_path, tokenizer):
    whole = build(source).tokens.tobytes()
    (tmp_path / "corpus" / "manifest.json").unlink()
    (tmp_path / "corpus" / "tokens.bin").write_bytes(b"x" * 99)
    with pytest.raises(DataError, match="no finished"):
        open_corpus(tmp_path / "corpus", tokenizer)
    assert build(source).tokens.tobytes() == whole


def test_other_files_are_refused(build, source):
    build(source)
    source.write_text("\n".join(LINES[1:]), encoding="utf-8")
    with pytest.raises(DataError, match=r"corpus of other files \(text.txt\); delete"):
        build(source)


@pytest.mark.parametrize("other", [vocabulary(SENTENCE), [*vocabulary("".join(LINES)), "龘"]])
def test_another_vocabulary_is_refused(build, source, other):
    build(source)
    with pytest.raises(ModelError, match="another vocabulary; delete"):
        build(source, tokenizer=CharTokenizer(other))


def test_a_vocabulary_that_does_not_fit_is_refused(build, source):
    with pytest.raises(ModelError, match="32,768 tokens; 32,767 is the maximum"):
        build(source, tokenizer=CharTokenizer([*vocabulary(), *map(str, range(32_768 - len(vocabulary())))]))


def test_a_truncated_corpus_is_refused(build, source, tmp_path, tokenizer):
    build(source)
    path = tmp_path / "corpus" / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"tokens.bin: has [\d,]+ bytes, not [\d,]+; delete"):
        open_corpus(tmp_path / "corpus", tokenizer)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', "null"])
def test_a_broken_manifest_is_refused(text, tmp_path, tokenizer):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest.json: (broken|is not that of a tokenized corpus)"):
        open_corpus(tmp_path, tokenizer)


def test_a_manifest_of_another_format_is_refused(build, source, tmp_path):
    build(source)
    path = tmp_path / "corpus" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 9}))
    with pytest.raises(DataError, match=r"made by nlpkit .* newer than this one .*; upgrade nlpkit"):
        build(source)


@pytest.mark.parametrize("text", ["", "\n\n \n", "一行\n", "一样\n一样\n", "\u200b\n\ufeff\n"])
def test_too_little_text(text, build, tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="too little text"):
        build(path)
    assert not [*tmp_path.rglob("*.bin")]


def test_invalid_utf8_says_where_or_is_skipped_once(build, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes("\n".join(LINES).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"bad.txt:301: not valid utf-8"):
        build(path)
    errors = []
    corpus = build(path, on_error=ErrorPolicy("skip", errors.append))
    assert [error.line for error in errors] == [301]
    assert corpus.manifest.lines + corpus.manifest.held_out_lines == 300


def test_missing_files_and_stdin(build, tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        build(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a directory"):
        build(tmp_path)
    with pytest.raises(UsageError, match="stdin"):
        build("-")


def test_too_little_disk(build, source, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with pytest.raises(OutputError, match=r"the corpus needs 0 MB, 0 MB are free; free some space"):
        build(source)


def test_a_disk_that_fills_up_leaves_nothing(build, source, tmp_path):
    def fill(stage, done, total):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); free some space"):
        build(source, progress=fill)
    assert not (tmp_path / "corpus").exists()


def test_a_folder_that_cannot_be_made(build, source):
    with pytest.raises(UsageError, match="is a file; name a folder"):
        build(source, folder=source / "inside")
