"""Tokenizing with an exact map back to the text.

Every unit knows which characters of the original text it covers, so `text[start:end]` is always the span. A non-ASCII
character is one unit; ASCII words become word pieces; white space, control and zero-width characters make no unit; a
combining mark or variation selector belongs to the unit of the character before it. For plain Chinese the ids are those
of BERT's tokenizer on the same vocabulary.

    tokenizer.encode("Ａ股 caf\u0301e")   units  Ａ 股 caf\u0301 e, spans (0,1) (1,2) (3,7) (7,8)
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

from nlpkit.core.io.artefacts import Reader
from nlpkit.core.io.output import replacing_inside
from nlpkit.core.text.normalization import half_width, simplify
from nlpkit.core.text.segmentation import cut_words
from nlpkit.errors import ModelError

PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
RARE = "[RARE{}]"  # shared by the characters outside the vocabulary, where a vocabulary has them
VOCABULARY = "vocab.txt"
MAX_WORD = 100  # as BERT: a longer ASCII word is not looked up as a whole
Kind = Literal["char", "word"]

_SEGMENT = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]|[^\x00-\x7f]+")
_NO_UNIT = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_EXTENDS = frozenset({"Mn", "Me"})
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)  # unlike str.lower() it keeps every length
_SILENT, _JOINED = -1, -2  # in place of an id: makes no unit; extends the unit before


@dataclass(slots=True)
class Encoding:
    """The units of a text, without [CLS] and [SEP]: ids, and the half-open character span of each."""

    ids: list[int]
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class CharTokenizer:
    """Character-exact tokenizer over a BERT-style vocabulary (one token a line, `##` before a continuing piece).

    Args:
        tokens: the vocabulary in the order of its ids.
        lowercase: whether ASCII is lower-cased and accents are stripped, as published Chinese vocabularies want.
        normalize: whether full-width letters, digits and symbols are read as half-width ones, and traditional
            characters as simplified ones; see `core.text.normalization`. Spans stay those of the text.

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
        """The ids that stand for characters outside the vocabulary; [UNK] alone where it has no others."""
        names = (RARE.format(number) for number in range(len(self.tokens)))
        found = []
        for name in names:
            if name not in self.ids:
                break
            found.append(self.ids[name])
        return found or [self.unk_id]

    @property
    def settings(self) -> dict[str, Any]:
        """What a manifest keeps besides the vocabulary, to make the tokenizer again."""
        normalize = {"normalize": True} if self.normalize else {}
        return {"kind": self.kind, "lowercase": self.lowercase, **normalize}

    @cached_property
    def fingerprint(self) -> str:
        """What only a tokenizer with the same ids for every text shares: the SHA-256 of its settings and tokens."""
        lines = [self.kind, str(self.lowercase), *(["normalize"] if self.normalize else []), *self.tokens]
        return sha256("\n".join(lines).encode()).hexdigest()

    def encode(self, text: str) -> Encoding:
        """The units of a text; an empty text has none."""
        result = Encoding([], [], [])
        self._add(half_width(text) if self.normalize else text, 0, result)
        return result

    def _add(self, text: str, offset: int, result: Encoding) -> None:
        """Adds the units of a part of the text that begins at `offset`."""
        ids, starts, ends = result.ids, result.starts, result.ends
        for match in _SEGMENT.finditer(text):
            start, end = offset + match.start(), offset + match.end()
            segment = match.group()
            if segment[0] > "\x7f":
                found = [self._characters[character] for character in segment]
                if min(found) >= 0:  # nothing silent or joined, the usual case
                    ids += found
                    starts += range(start, end)
                    ends += range(start + 1, end + 1)
                else:
                    self._add_uneven(found, start, ids, starts, ends)
            else:
                for piece, length in self._pieces(segment):
                    ids.append(piece)
                    starts.append(start)
                    start += length
                    ends.append(start)

    def _add_uneven(self, found: list[int], start: int, ids: list[int], starts: list[int], ends: list[int]) -> None:
        for position, token in enumerate(found, start):
            if token >= 0:
                ids.append(token)
                starts.append(position)
                ends.append(position + 1)
            elif token == _JOINED and ends and ends[-1] == position:
                ends[-1] += 1

    def _pieces(self, word: str) -> tuple[tuple[int, int], ...]:
        """(id, length) of the word pieces of an ASCII word, longest match first; single characters if none fit."""
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

    def save(self, folder: Path) -> None:
        """Writes vocab.txt; the kind and case are kept by the checkpoint's manifest.

        Raises:
            OutputError: it cannot be written.
        """
        with replacing_inside(folder / VOCABULARY) as path:
            self.write_vocabulary(path)

    def write_vocabulary(self, path: Path) -> None:
        """Writes the tokens, one a line."""
        path.write_text("".join(token + "\n" for token in self.tokens), encoding="utf-8")


class WordTokenizer(CharTokenizer):
    """The word tokenizer of RoFormer and WoBERT: jieba's words (HMM off) are one unit each if in the vocabulary.

    Other words are cut as by `CharTokenizer`.
    """

    kind: Kind = "word"

    def encode(self, text: str) -> Encoding:
        """The units of a text."""
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


class _CharacterIds(dict[str, int]):
    """Non-ASCII character -> id, `_SILENT` or `_JOINED`; worked out at the first meeting of a character."""

    def __init__(self, tokenizer: CharTokenizer):
        self.tokenizer = tokenizer

    def __missing__(self, character: str) -> int:
        token = self[character] = self._look_up(character)
        return token

    def _look_up(self, character: str) -> int:
        category = unicodedata.category(character)
        if category in _NO_UNIT:
            return _SILENT
        if category in _EXTENDS:
            return _JOINED
        ids = self.tokenizer.ids
        read_as = simplify(character) if self.tokenizer.normalize else character
        candidates = [*self._candidates(read_as), character]  # some traditional characters alone have a token
        for candidate in candidates:
            if candidate in ids:
                return ids[candidate]
        rare = self.tokenizer.rare_ids
        return rare[ord(read_as) % len(rare)]

    def _candidates(self, character: str) -> list[str]:
        """The tokens that may stand for a character, best first."""
        if not self.tokenizer.lowercase:
            return [character, unicodedata.normalize("NFKC", character)]
        lowered = unicodedata.normalize("NFD", character.lower())
        stripped = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
        return [stripped, character, unicodedata.normalize("NFKC", stripped).lower()]


KINDS: dict[str, type[CharTokenizer]] = {"char": CharTokenizer, "word": WordTokenizer}


def from_settings(tokens: Iterable[str], settings: Mapping[str, Any]) -> CharTokenizer:
    """Return the tokenizer of a manifest's settings; those that an old manifest lacks are off, lower case excepted.

    Raises:
        KeyError: an unknown kind.
        ModelError: see `CharTokenizer`.
    """
    kind = KINDS[str(settings.get("kind", "char"))]
    return kind(tokens, lowercase=settings.get("lowercase", True), normalize=settings.get("normalize", False))


def read_vocabulary(path: Path) -> list[str]:
    """The tokens of a vocab.txt.

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
