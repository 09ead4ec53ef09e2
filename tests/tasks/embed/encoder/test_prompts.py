"""Which text a prompt is."""

import pytest

from nlpkit.tasks.embed.encoder.prompts import prompt_text

PROMPTS = {"query": "query: ", "document": "passage: ", "own": "默认："}


@pytest.mark.parametrize(
    ("given", "role", "text"),
    [
        (None, None, "默认："),
        (None, "query", "query: "),
        (None, "passage", "passage: "),
        ("query", None, "query: "),
        ("query", "passage", "query: "),
        ("", "query", ""),
        ("为这个句子：", None, "为这个句子："),
    ],
)
def test_a_prompt_by_name_text_or_role(given, role, text):
    assert prompt_text(PROMPTS, given, role, "own") == text


def test_a_model_without_prompts_has_none():
    assert prompt_text({}, None, "query") == prompt_text({}, None, None, "missing") == ""
