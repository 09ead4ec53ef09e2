"""Word segmentation with jieba, loaded at the first call and silenced."""

import logging
import warnings
from collections.abc import Callable
from functools import cache


def cut_words(text: str) -> list[str]:
    """Return the words of a text, whose concatenation is the text; without jieba's model of new words (HMM off)."""
    return _segmenter()(text, HMM=False)


@cache
def _segmenter() -> Callable[..., list[str]]:
    with warnings.catch_warnings():  # about pkg_resources, and about escapes in its regular expressions
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.CRITICAL)  # it reports that it loads, and that its cache cannot be saved: both harmless
    segment: Callable[..., list[str]] = jieba.lcut
    return segment
