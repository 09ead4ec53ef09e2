"""The catalogue: an entry for each message of the source, no others, and messages as they are printed."""

import re
import subprocess
import sys

import pytest
from support import environment
from translatable import HAN, KEPT, constants, help_texts, templates

from nlpkit.cli.localization.catalogue import FRAMES, PLACE, texts, translate
from nlpkit.cli.localization.help import paragraphs

TYPER = {  # and click, and pydantic
    *("Missing option {}", "Missing option {}. Choose from: {}", "Missing argument {}", "Missing command"),
    *("No such option: {}", "No such option: {} (Possible options: {})", "No such option: {} Did you mean {}?"),
    *("No such command {}", "No such command {}. Did you mean {}?", "Invalid value for {}: {}", "Invalid value: {}"),
    *("{} is not a valid {}", "{} is not one of {}", "{} is not in the range {}", "Value error, {}"),
    *("Input should be less than or equal to {}", "Input should be greater than or equal to {}"),
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    *("integer", "float", "int", "int range", "float range", "integer range"),
    *(f"Got unexpected extra {noun} ({{}})" for noun in ("argument", "arguments", "argument(s)")),
    *("Option {} requires an argument", "Option {} requires {} arguments", "Option {} does not take a value"),
    *("Argument {} takes {} values", "Show this message and exit."),
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
}


TEMPLATES = templates()


def forms(text):
    """Returns what a text becomes in a tally: of one annotation, or of several."""
    return [text.replace("{them}", word) for word in ("it", "them")] if "{them}" in text else [text]


def filled(text, values):
    """Returns a text with values in its places; other braces stay."""
    parts = re.split(r"\{(\d*)\}", text)
    numbers = [int(number or index) for index, number in enumerate(parts[1::2])]
    return "".join(part + value for part, value in zip(parts[::2], [*(values[n] for n in numbers), ""], strict=True))


def plural(noun):
    """Returns what a tally writes for several."""
    first, *rest = noun.split(" ", 1)
    return " ".join([f"{first[:-1]}ies" if first.endswith("y") else f"{first}s", *rest])


def test_every_message_has_a_translation():
    messages = {form: place for text, place in TEMPLATES.items() for form in forms(text)}
    assert len(messages) > 400
    missing = {text: place for text, place in messages.items() if not HAN.search(texts().get(text, ""))}
    assert missing == {}


def test_every_entry_is_in_the_source():
    strings = constants()
    known = {form for text in strings for form in forms(text)} | {plural(text) for text in strings} | TYPER
    known |= {paragraph for text in strings for paragraph in paragraphs(text)} | help_texts()
    frame = {text for text in texts(FRAMES) if "; see: " in text}  # added to what typer says
    assert set(texts()) - known - frame == set()


@pytest.mark.parametrize("source", texts())
def test_values_options_and_numbers_are_the_same_in_an_entry(source):
    target = texts()[source]
    places = PLACE.findall(target)
    numbers = [int(number) if number else index for index, (number, _) in enumerate(places)]
    values = [before[-1:].isalpha() for before in source.split("{}")[:-1]]  # a letter before is a word, then its plural
    assert set(numbers) >= {index for index, is_plural in enumerate(values) if not is_plural}
    assert len(numbers) == len(set(numbers) & set(range(len(values))))
    assert all(number for number, _ in places) or not any(number for number, _ in places)
    assert set(KEPT.findall(PLACE.sub("", target))) == set(KEPT.findall(source.replace("{}", "")))
    assert not re.search(r"[\u4e00-\u9fff](?:[;:?!]|, )", target)  # Chinese punctuation


def test_every_message_is_recognized():
    """No other entry takes a message for its own, whatever is before it."""
    differing = []
    for source in filter(TEMPLATES.get, texts()):
        values = [f"v{index}" for index in range(source.count("{}"))]
        chinese = PLACE.sub(lambda match: f"{{{match[1]}}}", texts()[source])
        places = ["", "a.jsonl:7: ", "a.jsonl:7: task 3: "] if not source.startswith("{}: ") else [""]
        for place in places:
            found = translate(f"error: {place}{filled(source, values)}")
            expected = f"错误：{place}{filled(chinese, values)}"
            if found.replace("：", ": ") != expected.replace("：", ": "):
                differing.append((found, expected))
    assert differing == []


MESSAGES = [
    ("error: a.txt:7: no such file", "错误：a.txt:7: 文件不存在"),
    ("error: G.kg: no such file", "错误：G.kg: 文件不存在"),
    (
        "error: m/nlpkit.json: broken (line 1); copy or download it again",
        "错误：m/nlpkit.json：已损坏（line 1）；请重新拷贝或下载",
    ),
    (
        "error: i/ids.npy: has 3 bytes, not 4; build the index again",
        "错误：i/ids.npy: 有 3 字节，应为 4；请重新建立索引",
    ),
    (
        "skipped: <stdin>:2: not valid utf-8 at byte 1 of the line (0xff); for a GBK file add --encoding gb18030",
        "已跳过：<stdin>:2: 该行第 1 字节不是有效的 utf-8（0xff）；如果是 GBK 文件，请加 --encoding gb18030",
    ),
    (
        "dropped: 3 relations (conll cannot hold them), first in a.jsonl:7",
        "丢弃：3 个关系（conll 不能表示），首个在 a.jsonl:7",
    ),
    ("dropped: 1 entity (it is an event), first in a.ann:1", "丢弃：1 个实体（它本身是事件），首个在 a.ann:1"),
    ("error: text: no such thing; rename it", "错误：text: no such thing; rename it"),  # unknown: stays English
    ("text", "文本"),
    (
        "error: No such option: --modle (Possible options: --model); see: nlpkit ner --help",
        "错误：没有选项 --modle（相近的选项：--model）；参见：nlpkit ner --help",
    ),
    (
        "error: Invalid value for '--beam': 0 is not in the range x>=1; see: nlpkit kgqa --help",
        "错误：'--beam' 的值无效：0 不在范围 x>=1 内；参见：nlpkit kgqa --help",
    ),
    (
        "error: the model has no label car; it has: name, text",
        "错误：模型没有标签 car；现有：name, text",  # values stay, also where they are entries
    ),
    ("2 bad record(s) skipped", "跳过了 2 条坏记录"),
]


@pytest.mark.parametrize(("english", "chinese"), MESSAGES)
def test_a_message(english, chinese):
    assert translate(english) == chinese


COMMANDS = [
    (["ner", "none.txt"], 1, "nlpkit: 错误：none.txt: 文件不存在\n"),
    (["ner", "--modle", "x"], 2, "nlpkit: 错误：没有选项 --modle"),
    (["evaluate", "ner"], 2, "nlpkit: 错误：缺少参数 "),
    (["ner", "--threshold", "2", "x"], 2, "nlpkit: 错误：'--threshold' 的值无效："),
    (["convert", "--from", "none", "x"], 2, "nlpkit: 错误：未知格式 'none'；可用的有：nlpkit, "),
    (["models", "none"], 1, "nlpkit: 错误：none：没有这个模型；内置模型有："),
]


@pytest.mark.parametrize(("arguments", "code", "expected"), COMMANDS)
def test_the_errors_of_commands(tmp_path, arguments, code, expected):
    variables = environment() | {"NLPKIT_LANG": "zh", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "nlpkit", *arguments], env=variables, cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1
