"""Texts with summaries: both kinds of files, and what is said of a bad record."""

import pytest
from support import write_jsonl

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks.summarize.data import Example, read_examples

EXPECTED = [Example("长文一", "短一"), Example("长文二", "")]


@pytest.fixture
def read(tmp_path):
    def read(content, name="gold.tsv", on_error=None, encoding="utf-8", **options):
        if isinstance(content, list):
            write_jsonl(tmp_path / name, content)
        else:
            (tmp_path / name).write_text(content, encoding=encoding)
        return list(read_examples([str(tmp_path / name)], encoding, on_error or ErrorPolicy(), **options))

    return read


def test_json_lines_are_known_by_their_name_or_by_a_field(read):
    records = [{"text": "长文一", "summary": "短一"}, {"text": "长文二", "summary": ""}]
    assert read(records, "gold.jsonl") == EXPECTED
    renamed = [{"fact": "长文一", "abstract": "短一"}, {"fact": "长文二", "abstract": ""}]
    assert read(renamed, "gold", field="fact", summary="abstract") == EXPECTED
    assert read([{"text": "长文一", "abstract": "短一"}], "gold", summary="abstract") == EXPECTED[:1]
    assert read([{"fact": "长文一", "summary": "短一"}], "gold", field="fact") == EXPECTED[:1]


def test_lines_have_a_tab(read):
    assert read("长文一\t短一\n长文二\t\n") == EXPECTED
    assert read("长\t文\t短\n") == [Example("长\t文", "短")]
    assert read("长文一\t短一\n", encoding="gb18030") == EXPECTED[:1]


def test_files_of_both_kinds_follow_one_another(tmp_path):
    (tmp_path / "a.tsv").write_text("长文二\t\n", encoding="utf-8")
    paths = [write_jsonl(tmp_path / "b.jsonl", [{"text": "长文一", "summary": "短一"}]), str(tmp_path / "a.tsv")]
    assert list(read_examples(paths, "utf-8", ErrorPolicy())) == EXPECTED


@pytest.mark.parametrize(
    ("content", "name", "options", "message"),
    [
        (
            "长文一\t短一\n长文二\n",
            "gold.tsv",
            {},
            r"gold.tsv:2: no TAB here; a line is text<TAB>summary, and JSON Lines",
        ),
        (
            [{"text": "长文"}],
            "g.jsonl",
            {},
            r"g.jsonl:1: no field 'summary' here \(there are: text\); name .* with --summary",
        ),
        ([{"text": "长文", "summary": None}], "g.jsonl", {}, "g.jsonl:1: field 'summary' is not a string"),
        (
            [{"summary": "短"}],
            "g.jsonl",
            {},
            r"g.jsonl:1: no field 'text' here \(there are: summary\); .* with --field",
        ),
        ([{"text": 5, "summary": "短"}], "g.jsonl", {}, "g.jsonl:1: field 'text' is not a string"),
        ([{"text": "长文", "summary": "短"}], "g.jsonl", {"summary": "s"}, "no field 's' here .* with --summary"),
        ("{\n", "g.jsonl", {}, "g.jsonl:1: not valid JSON"),
    ],
)
def test_a_bad_record_is_named_or_skipped(read, content, name, options, message):
    with pytest.raises(DataError, match=message):
        read(content, name, **options)
    errors = ErrorPolicy("skip")
    assert len(read(content, name, errors, **options)) == (name == "gold.tsv")
    assert errors.count == 1
