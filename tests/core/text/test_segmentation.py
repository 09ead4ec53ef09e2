"""Words of a text: nothing is lost, new words are not guessed, and jieba prints nothing."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from support import environment, texts

from nlpkit.core.text.segmentation import cut_words


@settings(max_examples=50)
@given(texts)
def test_words_are_the_text(text):
    words = cut_words(text)
    assert "".join(words) == text
    assert all(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("他来到北京大学", ["他", "来到", "北京大学"]),
        ("杭研大厦", ["杭", "研", "大厦"]),  # a new word, which jieba's model would find
        ("NLP 工具", ["NLP", " ", "工具"]),
        ("", []),
    ],
)
def test_words_of_the_dictionary(text, words):
    assert cut_words(text) == words


def test_loading_jieba_prints_and_warns_nothing():
    code = "from nlpkit.core.text.segmentation import cut_words; print(cut_words('北京大学'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert (done.stdout, done.stderr) == ("['北京大学']\n", "")
