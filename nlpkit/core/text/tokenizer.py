"""Tokenization with exact character offsets.

Every token has the span of characters of the original text that it covers. A non-ASCII character is one token; ASCII
words become word pieces; white space, control and zero-width characters are no tokens; a combining mark or variation
selector belongs to the token of the character before it. For plain Chinese the ids are those of BERT's tokenizer with
the same vocabulary.

    tokenizer.encode("Ａ股 caf\u0301e")   tokens Ａ 股 caf\u0301 e, spans (0,1) (1,2) (3,7) (7,8)
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Literal

from typing_extensions import override

from nlpkit.core.io.artefacts import Reader
from nlpkit.core.io.output import replacing_inside
from nlpkit.core.text.normalization import half_width, simplify
from nlpkit.core.text.segmentation import cut_words
from nlpkit.errors import ModelError

PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
RARE = "[RARE{}]"  # tokens shared by the characters outside the vocabulary; not every vocabulary has them
VOCABULARY = "vocab.txt"
MAX_WORD = 100  # characters; a longer ASCII word is split into characters, as in BERT
Kind = Literal["char", "word", "unigram", "id"]

_SEGMENT = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]|[^\x00-\x7f]+")
_WORD = re.compile(r"\S+")
_IGNORED = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_EXTENDS = frozenset({"Mn", "Me"})
_INVISIBLE = r"[\p{Cf}\x{00}-\x{08}\x{0E}-\x{1F}\x{7F}-\x{9F}]"  # of Unigram texts; in the syntax of Oniguruma
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)  # unlike str.lower() it keeps every length
_NO_TOKEN, _EXTENSION = -1, -2  # instead of an id: the character is no token; extends the token before


@dataclass(slots=True)
class Encoding:
    """The tokens of a text, without [CLS] and [SEP]: ids, and the half-open character span of each."""

    ids: list[int]
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class CharTokenizer:
    """Character tokenizer with a BERT vocabulary (one token a line, `##` before continuation pieces).

    Args:
        tokens: the vocabulary in the order of its ids.
        lowercase: whether to lower-case ASCII and to strip accents, as published Chinese vocabularies require.
        normalize: whether to convert full-width letters, digits and symbols to half width, and traditional characters
            to simplified ones, before lookup; see `core.text.normalization`. Offsets refer to the original text.

    Raises:
        ModelError: one of [PAD] [UNK] [CLS] [SEP] is missing.
    """

    kind: Kind = "char"

    def __init__(self, tokens: Iterable[str], *, lowercase: bool = True, normalize: bool = False):
        self.tokens = list(tokens)
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        self.lowercase, self.normalize = lowercase, normalize
        missing = [token for token in SPECIALS[:4] if token not in self.ids]
        if missing:
            raise ModelError(f"the vocabulary has no {' '.join(missing)}; it is not a BERT-style vocab.txt")
        self.pad_id, self.unk_id, self.cls_id, self.sep_id = (self.ids[token] for token in SPECIALS[:4])
        self.vocab_size = len(self.tokens)
        self._characters = _CharacterIds(self)
        self._words: dict[str, tuple[tuple[int, int], ...]] = {}

    @cached_property
    def rare_ids(self) -> list[int]:
        """Return the ids for characters outside the vocabulary; only that of [UNK] if there are no [RARE…] tokens."""
        ids = []
        for number in range(len(self.tokens)):
            name = RARE.format(number)
            if name not in self.ids:
                break
            ids.append(self.ids[name])
        return ids or [self.unk_id]

    @property
    def settings(self) -> dict[str, Any]:
        """Return the fields of a manifest from which, with the vocabulary, `from_settings` makes the tokenizer."""
        normalize = {"normalize": True} if self.normalize else {}
        return {"kind": self.kind, "lowercase": self.lowercase, **normalize}

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 of settings and tokens; equal for tokenizers that give equal ids for every text."""
        lines = [self.kind, str(self.lowercase), *(["normalize"] if self.normalize else []), *self.lines]
        return sha256("\n".join(lines).encode()).hexdigest()

    def encode(self, text: str) -> Encoding:
        """Return the tokens of a text; an empty text has none."""
        result = Encoding([], [], [])
        self._add(half_width(text) if self.normalize else text, 0, result)
        return result

    def _add(self, text: str, offset: int, result: Encoding) -> None:
        """Add the tokens of a part of the text that begins at `offset`."""
        ids, starts, ends = result.ids, result.starts, result.ends
        for match in _SEGMENT.finditer(text):
            start, end = offset + match.start(), offset + match.end()
            segment = match.group()
            if segment[0] > "\x7f":
                tokens = [self._characters[character] for character in segment]
                if min(tokens) >= 0:  # one token per character, the most frequent case
                    ids += tokens
                    starts += range(start, end)
                    ends += range(start + 1, end + 1)
                else:
                    self._add_uneven(tokens, start, ids, starts, ends)
            else:
                for piece, length in self._pieces(segment):
                    ids.append(piece)
                    starts.append(start)
                    start += length
                    ends.append(start)

    def _add_uneven(self, tokens: list[int], start: int, ids: list[int], starts: list[int], ends: list[int]) -> None:
        for position, token in enumerate(tokens, start):
            if token >= 0:
                ids.append(token)
                starts.append(position)
                ends.append(position + 1)
            elif token == _EXTENSION and ends and ends[-1] == position:
                ends[-1] += 1

    def _pieces(self, word: str) -> tuple[tuple[int, int], ...]:
        """Return (id, length) of the word pieces of an ASCII word by longest match; single characters if none fit."""
        pieces = self._words.get(word)
        if pieces is None:
            pieces = self._split(word.lower() if self.lowercase else word)
            if len(self._words) < 100_000:
                self._words[word] = pieces
        return pieces

    def _split(self, word: str) -> tuple[tuple[int, int], ...]:
        pieces: list[tuple[int, int]] = []
        start = 0
        while start < len(word) and len(word) <= MAX_WORD:
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self.ids.get(prefix + word[start:end])
                if piece is not None:
                    pieces.append((piece, end - start))
                    start = end
                    break
            else:
                break
        if start < len(word):
            return tuple((self.ids.get(c if i == 0 else "##" + c, self.unk_id), 1) for i, c in enumerate(word))
        return tuple(pieces)

    @property
    def lines(self) -> list[str]:
        """The lines of the tokenizer's vocab.txt."""
        return self.tokens

    def save(self, folder: Path) -> None:
        """Write vocab.txt into a folder; the settings belong into the manifest.

        Raises:
            OutputError: it cannot be written.
        """
        with replacing_inside(folder / VOCABULARY) as path:
            write_vocabulary(path, self.lines)


class WordTokenizer(CharTokenizer):
    """The word tokenizer of RoFormer and WoBERT: a word of jieba (HMM off) is one token if it is in the vocabulary.

    Other words are split as by `CharTokenizer`.
    """

    kind: Kind = "word"

    @override
    def encode(self, text: str) -> Encoding:
        if self.normalize:
            text = "".join(map(simplify, half_width(text)))
        result = Encoding([], [], [])
        start = 0
        for word in cut_words(text.translate(_LOWER) if self.lowercase else text):
            end = start + len(word)
            token = self.ids.get(word.lower() if self.lowercase else word)
            if token is not None and not word.isspace():
                result.ids.append(token)
                result.starts.append(start)
                result.ends.append(end)
            else:
                self._add(word, start, result)
            start = end
        return result


class UnigramTokenizer(CharTokenizer):
    """The Unigram tokenizer of SentencePiece, as XLM-RoBERTa has it: pieces of words, the most probable ones of a text.

    Texts are normalized by NFKC, white space becomes `▁`, which also begins every text. A character without a piece is
    [UNK]. The segmentation is computed by the library `tokenizers`.

    Args:
        lines: of vocab.txt, `piece<TAB>log-probability`, as in the .vocab file of SentencePiece; [PAD], [UNK] … have
            no probability.
        lowercase: whether to lower-case texts.
        normalize: as for `CharTokenizer`.

    Raises:
        ModelError: a line has no number; or see `CharTokenizer`.
    """

    kind: Kind = "unigram"

    def __init__(self, lines: Iterable[str], *, lowercase: bool = False, normalize: bool = False):
        self._lines = list(lines)
        pieces, scores = [], []
        for number, line in enumerate(self._lines, 1):
            piece, tab, score = line.rpartition("\t")
            try:
                scores.append(float(score) if tab else 0.0)
            except ValueError:
                raise ModelError(f"line {number} of the vocabulary: {score[:40]!r} is not a number") from None
            pieces.append(piece if tab else line)
        super().__init__(pieces, lowercase=lowercase, normalize=normalize)
        self._scores = scores

    @property
    @override
    def lines(self) -> list[str]:
        return self._lines

    @cached_property
    def _segmenter(self) -> Any:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        segmenter = Tokenizer(models.Unigram(list(zip(self.tokens, self._scores, strict=True)), self.unk_id))
        steps: list[Any] = [normalizers.Replace(Regex(_INVISIBLE), ""), normalizers.NFKC()]
        if self.lowercase:
            steps.append(normalizers.Lowercase())
        segmenter.normalizer = normalizers.Sequence([*steps, normalizers.Replace(Regex(r"\s+"), " ")])
        segmenter.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
        return segmenter

    @override
    def encode(self, text: str) -> Encoding:
        if self.normalize:
            text = "".join(map(simplify, text))
        encoding = self._segmenter.encode(text, add_special_tokens=False)
        spans = encoding.offsets
        return Encoding(encoding.ids, [start for start, _ in spans], [end for _, end in spans])


class IdTokenizer(CharTokenizer):
    """The tokenizer of desensitized texts: every word between white space is a token, such as the id of one.

    Args:
        tokens: the vocabulary in the order of its ids.
        lowercase: ignored, as words are compared as they are.
        normalize: ignored.

    Raises:
        ModelError: see `CharTokenizer`.
    """

    kind: Kind = "id"

    @override
    def encode(self, text: str) -> Encoding:
        words = list(_WORD.finditer(text))
        return Encoding(
            [self.ids.get(word.group(), self.unk_id) for word in words],
            [word.start() for word in words],
            [word.end() for word in words],
        )


class _CharacterIds(dict[str, int]):
    """Non-ASCII character to id, `_NO_TOKEN` or `_EXTENSION`; computed when first needed."""

    def __init__(self, tokenizer: CharTokenizer):
        self.tokenizer = tokenizer

    def __missing__(self, character: str) -> int:
        token = self[character] = self._look_up(character)
        return token

    def _look_up(self, character: str) -> int:
        category = unicodedata.category(character)
        if category in _IGNORED:
            return _NO_TOKEN
        if category in _EXTENDS:
            return _EXTENSION
        ids = self.tokenizer.ids
        normalized = simplify(character) if self.tokenizer.normalize else character
        candidates = [*self._candidates(normalized), character]  # of some only the traditional form is in vocabularies
        for candidate in candidates:
            if candidate in ids:
                return ids[candidate]
        rare = self.tokenizer.rare_ids
        return rare[ord(normalized) % len(rare)]

    def _candidates(self, character: str) -> list[str]:
        """Return the tokens to look up for a character, in the order of preference."""
        if not self.tokenizer.lowercase:
            return [character, unicodedata.normalize("NFKC", character)]
        lowered = unicodedata.normalize("NFD", character.lower())
        stripped = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
        return [stripped, character, unicodedata.normalize("NFKC", stripped).lower()]


KINDS: dict[str, type[CharTokenizer]] = {
    kind.kind: kind for kind in (CharTokenizer, WordTokenizer, UnigramTokenizer, IdTokenizer)
}


def from_settings(tokens: Iterable[str], settings: Mapping[str, Any]) -> CharTokenizer:
    """Return the tokenizer of a manifest; in older manifests missing settings are off, except `lowercase`.

    Raises:
        KeyError: an unknown kind.
        ModelError: see `CharTokenizer`.
    """
    kind = KINDS[str(settings.get("kind", "char"))]
    return kind(tokens, lowercase=settings.get("lowercase", True), normalize=settings.get("normalize", False))


def write_vocabulary(path: Path, tokens: Iterable[str]) -> None:
    """Write a vocab.txt: the tokens, one a line."""
    path.write_text("".join(token + "\n" for token in tokens), encoding="utf-8")


def read_vocabulary(path: Path) -> list[str]:
    """Return the tokens of a vocab.txt.

    Raises:
        ModelError: the file is missing or not UTF-8.
    """
    reader = Reader(path.parent, ModelError, "a vocab.txt has one token a line", outside=True)
    try:
        text = reader.read(path.name).decode("utf-8")
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; a model folder needs its vocab.txt") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path}: not UTF-8, so not a vocabulary") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")
