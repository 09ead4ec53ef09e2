"""Words by jieba, which is loaded at the first of them and kept quiet."""

import logging
import warnings
from collections.abc import Callable
from functools import cache


def cut_words(text: str) -> list[str]:
    """The words of a text, which they make up again; only words of jieba's dictionary (HMM off)."""
    return _segmenter()(text, HMM=False)


@cache
def _segmenter() -> Callable[..., list[str]]:
    with warnings.catch_warnings():  # jieba asks for pkg_resources, and newer Pythons dislike its escapes
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.CRITICAL)  # it tells how it loads, and that its cache cannot be kept: both harmless
    segment: Callable[..., list[str]] = jieba.lcut
    return segment
