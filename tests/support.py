"""What several test files make their material with: nasty texts, a toy language, and a tiny checkpoint."""

import json
import os
import random
import string
from dataclasses import asdict

import torch
import typer
from hypothesis import strategies as st
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.cli.lazy import loaded
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import MANIFEST, Manifest
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask

SENTENCE = "叶老桂在浙商银行工作，王小明去了北京大学。"
SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴", "伟芳娜敏静丽强磊洋勇艳杰娟涛明"
PLACES, KINDS = ("北京", "上海", "广州", "南京", "武汉"), ("大学", "银行", "医院", "电视台")
PATTERNS = ("{name}在{company}工作。", "昨天{name}去了{company}，没有见到{name}。", "{company}的{name}说：今天不去。")


def commands(group, path=()):
    """Yields (words of the command, command) for all commands under a group."""
    for name, lazy in group.commands.items():
        command = loaded(lazy)
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))
ENVIRONMENT = {
    "NLPKIT_DEVICE": "cpu",
    "NLPKIT_DTYPE": "fp32",
    "NLPKIT_LANG": "en",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
NASTY = (
    *("", " ", "😀👨‍👩‍👧", "ＡＢＣ１２３，", "cafe\u0301 nai\u0308ve", "零\u200b宽\ufeff字", "空\x00字", "制\t表\t"),
    *("　　全角空格", "繁體字與簡體字", "❤️中️", "İstanbul ẞ", "الْعَرَبِيَّة", "\u0301起", "1️⃣ ２", "𠮷野家𠀀", "a" * 150),
)

# Text as it comes: any character, and often those that make trouble.
texts = st.text(
    st.one_of(
        st.sampled_from(
            "中文叶老桂在银行，。！ａＡ１ aZ9_-.\t\x00\u0301\ufe0f\u200b\u200d\ufeff\u3000é😀👍🏽龍\U00020bb7"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
)


def vocabulary(characters=""):
    """A small one: ASCII and its pieces, shared tokens for rare characters, and the given characters."""
    ascii_pieces = string.ascii_lowercase + string.digits
    rare = [f"[RARE{number}]" for number in range(8)]
    return [*SPECIALS, *rare, *string.punctuation, *ascii_pieces, *("##" + c for c in ascii_pieces),
            *sorted(set(characters))]  # fmt: skip


def toy_records(number, seed=0):
    """Sentences of the toy language as nlpkit's records."""
    chance = random.Random(seed)
    records = []
    for _ in range(number):
        text, entities = "", []
        for part in chance.choice(PATTERNS).replace("}", "{").split("{"):
            piece = {
                "name": lambda: chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, chance.choice((1, 2)))),
                "company": lambda: chance.choice(PLACES) + chance.choice(KINDS),
            }.get(part)
            if piece:
                found = piece()
                entities.append({"start": len(text), "end": len(text) + len(found), "label": part, "text": found})
                text += found
            else:
                text += part
        records.append({"text": text, "entities": entities})
    return records


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return str(path)


def randomize(backbone, seed):
    """Set the matrices to random values that are the same under all versions of torch, unlike `trunc_normal_`.

    The head that is built next has such values, too.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator).clamp(-2, 2) * 0.1)


def save_tiny(folder, tokenizer=None, *, task=None, seed=7, name="ner"):
    """A checkpoint with random weights, made larger so that scores differ."""
    tokenizer = tokenizer or CharTokenizer(vocabulary(SENTENCE))
    task = task or NerTask(NerSettings(("company", "name"), threshold=0.9))
    sizes = {"hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128, "max_length": 64}
    backbone = build({"type": "roformer_v2", "vocab_size": tokenizer.vocab_size, **sizes})
    randomize(backbone, seed)
    network = task.network(backbone)
    with torch.no_grad():
        network.head.dense.weight.mul_(3)
        network.head.bias.weight.mul_(2)
        network.head.bias.bias.sub_(2)
    description = {"kind": tokenizer.kind, "lowercase": tokenizer.lowercase}
    manifest = Manifest(name, backbone.describe(), description, 64, asdict(task.settings))
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())
    return folder


def edit_manifest(folder, **changes):
    """Replace fields of the manifest of a model."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def invoke(*args, text=None):
    """The command line in this process; gives exit_code, stdout and stderr. An internal error is a failure."""
    arguments = [str(argument) for argument in args]
    result = CliRunner().invoke(app, arguments, input=text, env=ENVIRONMENT, prog_name="nlpkit")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "internal error" not in result.stderr, result.stderr
    return result


def records(result):
    """The records that a command wrote to stdout, or that are in a file."""
    content = result.read_text(encoding="utf-8") if hasattr(result, "read_text") else result.stdout
    return [json.loads(line) for line in content.split("\n")[:-1]]


def environment():
    """For a subprocess: buffered output, as users have it, and one thread."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | ENVIRONMENT
