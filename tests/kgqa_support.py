"""What the kgqa tests share: a small graph, tiny networks, and a model that scores candidates by their strings."""

from dataclasses import asdict
from pathlib import Path

import torch
from support import vocabulary

from nlpkit.core.io.records import Line
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.nn.configs import read_config
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.triples import split_subject
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURE_NAMES
from nlpkit.tasks.kgqa.settings import KgqaSettings
from nlpkit.tasks.kgqa.task import KgqaTask

TRIPLES = (
    ("红楼梦（古典小说）", "作者", "曹雪芹"),
    ("红楼梦（古典小说）", "成书年代", "清代"),
    ("红楼梦（电视剧）", "导演", "王扶林"),
    ("红楼梦（电视剧）", "集数", "36集"),
    ("曹雪芹", "出生地", "南京"),
    ("曹雪芹", "代表作", "红楼梦"),
    ("南京", "面积", "6587平方千米"),
    ("南京", "别名", "金陵"),
    ("南京", "别名", "石头城"),
    ("长江", "长度", "6300公里"),
    ("长江", "发源地", "唐古拉山"),
    ("江", "读音", "jiāng"),
    ("《茶馆》", "作者", "老舍"),
    ("iPhone", "厂商", "苹果公司"),
)
QUESTIONS = (
    ("红楼梦的作者是谁？", "红楼梦（古典小说） ||| 作者 ||| 曹雪芹"),
    ("红楼梦电视剧的导演是谁？", "红楼梦（电视剧） ||| 导演 ||| 王扶林"),
    ("曹雪芹的出生地在哪里？", "曹雪芹 ||| 出生地 ||| 南京"),
    ("长江的长度是多少？", "长江 ||| 长度 ||| 6300公里"),
    ("请问南京面积有多大？", "南京 ||| 面积 ||| 6587平方千米"),
)


def examples():
    """The questions as training examples."""
    for number, (question, gold) in enumerate(QUESTIONS, 1):
        subject, predicate, object_ = gold.split(" ||| ")
        yield Example(question, *split_subject(subject), predicate, object_, Line("", "gold", number))


TEXTS = "".join("".join(triple) for triple in TRIPLES) + "".join("".join(pair) for pair in QUESTIONS)
OTHERS = "的是谁什么？请问在哪里有多大少你知道吗我想告诉查一下个属于《》“”天气怎样"
TOKENIZER = CharTokenizer(vocabulary(TEXTS + OTHERS), normalize=True)
SIZES = {
    "roformer_v2": {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "max_length": 256},
    "gau_alpha": {"hidden_size": 32, "num_layers": 2, "key_size": 16, "intermediate_size": 64, "max_length": 256},
    "bert": {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "intermediate_size": 64, "max_length": 256},
}
RUNTIMES = [("roformer_v2", "torch"), ("roformer_v2", "onnx"), ("bert", "onnx"), ("gau_alpha", "torch")]


def make_graph(folder, triples=TRIPLES, tokenizer=TOKENIZER):
    return build_graph(triples, Path(folder), tokenizer)


def make_network(tokenizer=TOKENIZER, kind="roformer_v2", seed=0, task=None):
    """Return a network with random weights, scaled up so that probabilities differ."""
    torch.manual_seed(seed)
    network = (task or KgqaTask(KgqaSettings(), graph=None)).network(
        build({"type": kind, "vocab_size": tokenizer.vocab_size, **SIZES[kind]})
    )
    with torch.no_grad():
        network.transform.weight.mul_(10)
        network.backbone.embeddings.weight.mul_(5)
        network.deep[2].weight.normal_()
    return network.eval()


def make_runner(network, runtime="torch"):
    """Return the runner of a network in a runtime."""
    task = KgqaTask(KgqaSettings(), graph=None)
    if runtime == "torch":
        return task.torch_runner(network, torch.device("cpu"), torch.float32)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return task.onnx_runner(read_config(network.backbone.describe()), StoredWeights(weights), 1, int8=False)


def by_strings(network):
    """Make the ranker score by the strings alone: by the matched fraction of the predicate, then of the name."""
    with torch.no_grad():
        for parameter in [*network.wide.parameters(), *network.deep.parameters(), network.border_weight]:
            parameter.zero_()
        weights = {"question_in_name": 2.0, "predicate_in_rest": 3.0, "predicate_matched": 1.0, "sense_in_rest": 1.0}
        for name, weight in weights.items():
            network.wide[0].weight[0, FEATURE_NAMES.index(name)] = weight
        network.wide[0].bias[0] = 50.0  # gelu(x) is x for large x
        network.wide[2].weight[0, 0] = 1.0
        network.wide[2].bias[0] = -50.0 - 10.0
    return network


def save_model(folder, tokenizer=TOKENIZER, **settings):
    """Save a model that scores candidates by their strings alone; return its folder."""
    task = KgqaTask(KgqaSettings(**settings), graph=None)
    network = by_strings(make_network(tokenizer, task=task))
    manifest = Manifest("kgqa", network.backbone.describe(), tokenizer.settings, 64, asdict(task.settings))
    checkpoint.save(Path(folder), manifest, tokenizer.tokens, network.state_dict())
    return str(folder)


def lcs(left, right):
    """Return the length of the longest common subsequence, by dynamic programming."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def stepwise(expected, keys, width):
    """The usual beam search, token by token, given the exact score of every beginning of a key."""
    beams, finished = [((), 0.0)], []
    while beams:
        following = {}
        for prefix, _ in beams:
            for key in keys:
                if key[: len(prefix)] == list(prefix):
                    longer = tuple(key[: len(prefix) + 1])
                    following[longer] = expected[longer]
        ranked = sorted(following.items(), key=lambda item: -item[1])
        finished += [(key, score) for key, score in ranked[:width] if list(key) in keys]
        beams = [(key, score) for key, score in ranked if list(key) not in keys][:width]
        scores = sorted((score for _, score in finished), reverse=True)
        if beams and len(scores) >= width and beams[0][1] <= scores[width - 1]:
            break
    return sorted(finished, key=lambda item: -item[1])[:width]
