"""A tokenized text with the windows that a model reads it in."""

from dataclasses import dataclass

from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.core.text.windows import Window, split


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its tokens and windows."""

    text: str
    encoding: Encoding
    windows: list[Window]

    @classmethod
    def of(cls, text: str, tokenizer: CharTokenizer, max_length: int) -> "Document":
        """Tokenize a text and cut it into windows that fit sequences of `max_length` with [CLS] and [SEP]."""
        encoding = tokenizer.encode(text)
        return cls(text, encoding, split(text, encoding, max_length - 2))
