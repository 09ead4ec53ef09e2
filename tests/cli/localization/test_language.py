"""The language of the user, from the environment."""

import io
import itertools
import sys

import pytest

from nlpkit.cli.localization.language import VARIABLES, language


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables that name a language; all others of them are unset."""

    def set_variables(**values):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_sets_the_language(environment, name):
    environment(**{name: "zh_CN.UTF-8"})
    assert language() == "zh"
    environment(**{name: "en_US.UTF-8"})
    assert language() == "en"


@pytest.mark.parametrize(("first", "second"), [*itertools.pairwise(VARIABLES)])
def test_an_earlier_variable_counts(environment, first, second):
    environment(**{first: "zh", second: "en"})
    assert language() == "zh"
    environment(**{first: "en", second: "zh"})
    assert language() == "en"
    environment(**{first: "", second: "zh"})
    assert language() == "zh"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("zh", "zh"), ("ZH", "zh"), ("zh_CN", "zh"), ("zh-Hans", "zh"), ("zh_TW.UTF-8", "zh"), ("zh_HK", "zh")),
        *(("zh.gb18030", "zh"), ("zh@pinyin", "zh"), ("C", "en"), ("POSIX", "en"), ("C.UTF-8", "en"), ("fr_FR", "en")),
        *(("zhuang", "en"), ("zh_CN:en", "zh"), ("en:zh", "en"), ("fr:zh_CN", "zh")),
    ],
)
def test_names_of_locales(environment, value, expected):
    environment(LANGUAGE=value)
    assert language() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="the language of Windows counts")
def test_english_is_the_default(environment):
    environment()
    assert language() == "en"


def test_english_where_chinese_cannot_be_shown(environment, monkeypatch):
    environment(NLPKIT_LANG="zh")
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert language() == "en"
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="gb18030"))
    assert language() == "zh"
