"""Tokenization of texts to sequences of token ids that fit the model."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.text.windows import split
from nlpkit.tasks.embed.encoder.unknown import Unknown

# Number of characters, the most frequent ones, that a model tells apart well. In an encoder of version 0.1.0 the mean
# cosine of texts of one character is 0.88 for these, 0.97 for the next 800, and 0.995 at the end of the vocabulary.
FREQUENT_CHARACTERS = 5000


@dataclass(slots=True)
class TokenSequences:
    """Texts as sequences of token ids, special tokens included.

    Attributes:
        ids: of each sequence.
        text_indices: position of each sequence's text, in ascending order; a text has one sequence, or one per window.
        truncated: as in `Embeddings`.
        unknown: as in `Embeddings`.
    """

    ids: list[list[int]]
    text_indices: Sequence[int]
    truncated: frozenset[int] = frozenset()
    unknown: dict[int, Unknown] = field(default_factory=dict)


class SequenceTokenizer(Protocol):
    """A tokenizer that respects the model's maximum length.

    Attributes:
        matches_published: whether all vectors must equal those of sentence-transformers.
        pad_id: token id of the padding.
    """

    matches_published: bool
    pad_id: int

    def __call__(self, texts: Sequence[str]) -> TokenSequences:
        """Return the token sequences of texts."""

    def prefix_length(self, prompt: str) -> int:
        """Return the number of tokens at the beginning of a sequence that come from a prompt, [CLS] included."""


class WindowTokenizer(SequenceTokenizer):
    """nlpkit's tokenizer: [CLS] tokens [SEP], with longer texts cut into windows.

    Args:
        tokenizer: of the model.
        max_length: of a sequence.
    """

    matches_published = False

    def __init__(self, tokenizer: CharTokenizer, max_length: int):
        self.tokenizer, self.max_length, self.pad_id = tokenizer, max_length, tokenizer.pad_id
        self._unknown_ids = frozenset([*tokenizer.rare_ids, *_infrequent_ids(tokenizer)])

    @override
    def __call__(self, texts: Sequence[str]) -> TokenSequences:
        first, last, max_tokens = self.tokenizer.cls_id, self.tokenizer.sep_id, self.max_length - 2
        sequences = TokenSequences([], text_indices := [])
        unknown_ids = self._unknown_ids
        for index, text in enumerate(texts):
            encoding = self.tokenizer.encode(text)
            if not unknown_ids.isdisjoint(encoding.ids):
                tokens = zip(encoding.ids, encoding.starts, encoding.ends, strict=True)
                spans = [(start, end) for token, start, end in tokens if token in unknown_ids]
                characters = tuple(c for start, end in spans for c in _base_characters(text[start:end]))
                sequences.unknown[index] = Unknown(characters, len(spans) / len(encoding))
            for window in split(text, encoding, max_tokens):
                sequences.ids.append([first, *encoding.ids[window.begin : window.end], last])
                text_indices.append(index)
        return sequences

    @override
    def prefix_length(self, prompt: str) -> int:
        return 1 + len(self.tokenizer.encode(prompt).ids)


def _base_characters(token: str) -> str:
    """Return the first character of a token and the others but combining marks; Unigram joins unknown characters."""
    return token[:1] + "".join(c for c in token[1:] if unicodedata.category(c) not in ("Mn", "Me"))


def _infrequent_ids(tokenizer: CharTokenizer) -> list[int]:
    """Return the ids of all characters but the `FREQUENT_CHARACTERS` first, where the vocabulary is in that order."""
    if tokenizer.rare_ids == [tokenizer.unk_id]:  # not from `build_vocabulary`, which sorts by frequency
        return []
    characters = [index for index, token in enumerate(tokenizer.tokens) if len(token) == 1 and not token.isascii()]
    return characters[FREQUENT_CHARACTERS:]
