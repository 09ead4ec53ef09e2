"""Small artefact folders of every kind, and how each is used through its public interface."""

import json
import warnings
import zlib
from dataclasses import asdict, replace

import numpy as np
import torch
from classify_support import TOKENIZER as REVIEWS
from classify_support import save_encoder, save_ngram, task
from embed_support import save_embedder
from fuzz.datasets import CARD, LOG, TEXT
from kgqa_support import TOKENIZER, make_graph
from kgqa_support import save_model as save_kgqa
from linker_support import save_linker
from static_support import save_static, sentences
from support import SENTENCE, edit_manifest, save_tiny, toy_records, vocabulary

from nlpkit.core.export import export
from nlpkit.core.io.artefacts import file_entry
from nlpkit.core.io.records import ErrorPolicy, dumps
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import UNBOUNDED, Manifest, find_local, read_card, read_manifest
from nlpkit.core.model.pretrained import find_tokenizer, load_backbone
from nlpkit.tasks.classify.loading import load as load_classifier
from nlpkit.tasks.embed.index.build import BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.retrieval import retrieve
from nlpkit.tasks.embed.loading import load as load_embedder
from nlpkit.tasks.event.data import TRIGGER
from nlpkit.tasks.event.task import EventSettings, EventTask
from nlpkit.tasks.event.task import load as load_event
from nlpkit.tasks.kgqa.data import to_record
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.task import load as load_kgqa
from nlpkit.tasks.ner.task import load as load_ner
from nlpkit.tasks.pretrain.corpus import build_corpus, open_corpus
from nlpkit.tasks.relation.task import RelationSettings, RelationTask
from nlpkit.tasks.relation.task import load as load_relation
from nlpkit.tasks.summarize.extractor import Extractor, ExtractorSettings
from nlpkit.tasks.summarize.summarizer import Summarizer
from nlpkit.tasks.summarize.train import ExtractorNetwork

UNSEALED = (".trie", ".usearch")  # crafted ones may crash the libraries that map them, as `Graph.check` says
_TRIES = {}  # folder → the trie of its dictionary
CPU = ("cpu", "fp32")
QUESTION = "长江的长度是多少？"


def reseal(folder, changed):
    """Make the entries of changed files in the manifests around them fit again; give these manifests."""
    manifests = []
    for path in changed:
        if path.suffix not in UNSEALED and path.is_file():
            for manifest in (*path.parent.glob("*.json"), *path.parent.parent.glob("manifest.json")):
                if manifest.is_file() and _reseal(manifest, path):
                    manifests.append(manifest)
    return manifests


def _reseal(manifest, path):
    try:
        content = json.loads(manifest.read_bytes())
        content["files"][path.name] |= asdict(file_entry(path))
        text = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    manifest.unlink()
    manifest.write_bytes(text)
    return True


def answer(predictor, text=SENTENCE):
    """What a command does with one text, and a blank one."""
    for prediction, given in zip(predictor.predictions([text, ""]), (text, ""), strict=True):
        dumps(predictor.to_fields(given, prediction.answer))


def vector(embedder):
    dumps(embedder.embed([SENTENCE, ""]).vectors)
    dumps(embedder.provenance)


# --- models -----------------------------------------------------------------------------------------------------------


def make_ner(folder):
    save_tiny(folder)
    edit_manifest(folder, metrics={"dev": {"f1": 0.5, "labels": {}}}, training={"metric": "f1", "parameters": 5})
    (folder / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (folder / "training").mkdir(exist_ok=True)
    (folder / "training/log.jsonl").write_text(LOG, encoding="utf-8")


def make_relation(folder):
    save_linker(folder, RelationTask(RelationSettings(("总部",))))


def make_event(folder):
    save_linker(folder, EventTask(EventSettings((("收购", TRIGGER, ""), ("收购", "买方", "")))))


def make_extractor(folder):
    """A small extractor on the embedded static model."""
    torch.manual_seed(0)
    encoder = load_embedder("embed-static")
    settings = ExtractorSettings("embed-static", encoder.fingerprint, encoder.width, 4, (1, 2))
    weights = ExtractorNetwork(settings).state_dict()
    manifest = Manifest("summarize", {"type": "extractor"}, {}, UNBOUNDED, asdict(settings))
    checkpoint.save(folder, manifest, None, weights)


def make_bert(folder, unsafe=False):
    """A folder as Hugging Face saves it; with weights in pytorch_model.bin if `unsafe`."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokens = vocabulary(SENTENCE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=len(tokens), max_position_embeddings=32, **sizes))
    model.save_pretrained(folder)
    if unsafe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")


def make_sentence_transformers(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

        source = folder.parent / f"{folder.name} bert"
        make_bert(source)
        modules = [Transformer(str(source), max_seq_length=20), Pooling(8, "mean"), Dense(8, 4), Normalize()]
        SentenceTransformer(modules=modules, device="cpu", prompts={"query": "在"}).save(str(folder))
    (folder / "README.md").unlink()


def make_exported(folder):
    save_tiny(folder.parent / f"{folder.name} source")
    folder.rmdir()
    export(str(folder.parent / f"{folder.name} source"), folder)


def read_folder_facts(folder):
    """What `nlpkit models` reads."""
    from nlpkit.cli.render.loss_chart import draw

    found = find_local(str(folder))
    dumps({**read_card(found), **asdict(read_manifest(found))})
    checkpoint.verify(found, read_manifest(found))
    draw(found)


# --- graphs, indexes and corpora --------------------------------------------------------------------------------------


def make_kgqa(folder):
    save_kgqa(folder / "model")
    make_graph(folder / "G.kg")


def use_kgqa(folder):
    predictor = load_kgqa(str(folder / "model"), *CPU, graph=str(folder / "G.kg"))
    for search in ("names", "beam"):
        changed = predictor.changed(search=search)
        (prediction,) = changed.predictions([QUESTION])
        dumps(to_record(QUESTION, prediction.answer, fields={}, max_answers=3))
        changed.explain(QUESTION, prediction.answer)


def use_graph(folder):
    graph = Graph.open(folder)
    for subject in ("红楼梦（古典小说）", "南京", "没有", "iphone"):
        list(graph.find(subject))
    list(graph.names_in("曹雪芹的《茶馆》"))
    list(graph.triples())
    graph.check()


def make_index(folder):
    model = save_static(folder / "model")
    (folder / "c.jsonl").write_text(
        "".join(json.dumps({"text": text, "id": 1}, ensure_ascii=False) + "\n" for text in sentences(30)),
        encoding="utf-8",
    )
    for method in ("exact", "graph"):
        embed_texts([str(folder / "c.jsonl")], load_embedder(model), folder / method, BuildSettings(method=method))
        finalize(folder / method, {"model": "../model", "pooling": "auto"})


def use_index(folder):
    for method in ("exact", "graph"):
        opened = Index.open(folder / method)
        embedder = opened.embedder(str(folder / "model"), *CPU)
        queries = ["今天天气", "", "花呗还款"]
        for kind in ("hybrid", "bm25", method):
            dumps(retrieve(opened, queries, embedder.encode(queries), 3, kind))
        dumps(opened.info())
        opened.verify()


def make_unfinished_index(folder):
    """An index whose build ended after its first step."""
    model = save_static(folder / "model")
    (folder / "c.txt").write_text("\n".join(sentences(30)), encoding="utf-8")
    embed_texts([str(folder / "c.txt")], load_embedder(model), folder / "idx", chunk_size=8, save_every=0)
    state = json.loads((folder / "idx/.building/state.json").read_text(encoding="utf-8"))
    size = sum(map(len, (folder / "idx/.building/records.jsonl").read_bytes().splitlines(keepends=True)[:16]))
    state |= {"read": 16, "rows": 16, "size": size, "complete": False}
    (folder / "idx/.building/state.json").write_text(json.dumps(state), encoding="utf-8")


def resume_index(folder):
    settings = BuildSettings(resume=True)
    embed_texts([str(folder / "c.txt")], load_embedder(str(folder / "model")), folder / "idx", settings)
    finalize(folder / "idx", {"model": str(folder / "model")})
    Index.open(folder / "idx").verify()


def make_corpus(folder):
    text = folder.parent / f"{folder.name}.txt"
    text.write_text("".join(f"{record['text']}\n" for record in toy_records(60)), encoding="utf-8")
    build_corpus([str(text)], TOKENIZER, folder, processes=1, on_error=ErrorPolicy("fail"))


def use_corpus(folder):
    found = open_corpus(folder, TOKENIZER)
    found.tokens.tolist(), found.held_out.tolist()


# --- files ------------------------------------------------------------------------------------------------------------


def make_map(folder):
    """A model with its whitening, and a projection."""
    from embed_support import fitted

    from nlpkit.tasks.embed.encoder.linear_map import STORED, Projection

    save_static(folder / "model", dim=4)
    embedder = load_embedder(str(folder / "model"))
    vectors = embedder.encode(sentences(40))
    replace(fitted(vectors), provenance=embedder.raw_provenance).save(folder / "model" / STORED, inside=True)
    Projection.random(4, 2, 0, embedder.raw_provenance).save(folder / "p.safetensors", inside=True)


def use_map(folder):
    for whiten in ("stored", str(folder / "p.safetensors")):
        vector(load_embedder(str(folder / "model"), whiten=whiten, dim=2))


def make_vectors(folder):
    generator = np.random.default_rng(0)
    for name, kind in (("a", "f4"), ("b", "f2")):
        np.save(folder / f"{name}.npy", generator.standard_normal((9, 3)).astype(kind))
        facts = {"model": "m", "fingerprint": "1f", "pooling": "mean", "whitening": None, "dim": 3, "normalised": False}
        (folder / f"{name}.npy.json").write_text(json.dumps(facts), encoding="utf-8")


def use_vectors(folder):
    from nlpkit.tasks.embed.drift import drift, principal_plane, read_cloud, size_warnings
    from nlpkit.tasks.embed.whitening.fit import fit_on_vectors

    paths = [str(folder / "a.npy"), str(folder / "b.npy")]
    clouds = [read_cloud(path) for path in paths]
    dumps(asdict(drift(*clouds, 1e-3)))
    principal_plane(*clouds)
    [size_warnings(cloud) for cloud in clouds]
    fit_on_vectors(paths, lambda *counts: None)


def make_dictionary(folder):
    from fuzz.datasets import DICTIONARY

    from nlpkit.tasks.ner.dictionary import read_dictionary

    (folder / "names.tsv").write_text(DICTIONARY, encoding="utf-8")
    read_dictionary(str(folder / "names.tsv")).save(folder / "names.dict")
    content = (folder / "names.dict").read_bytes()
    _TRIES[folder] = content[: int.from_bytes(content[-40:-32], "little")]


def use_dictionary(folder):
    from nlpkit.tasks.ner.dictionary import load_dictionary

    for name in ("names.dict", "names.tsv"):
        dictionary = load_dictionary(str(folder / name))
        dictionary.find(f"{TEXT}腾讯ios")
        dictionary.save(folder / "again.dict")


def reseal_dictionary(folder, changed):
    """Make the checksum at the end of a compiled dictionary fit again, unless its trie has changed."""
    path = folder / "names.dict"
    if not path.is_file() or len(content := path.read_bytes()) <= 40:
        return []
    body, end = content[:-40], content[-40:]
    if body[: int.from_bytes(end[:8], "little")] != _TRIES[folder]:
        return []
    path.unlink()
    path.write_bytes(body + end[:24] + zlib.crc32(body).to_bytes(4, "little") + end[28:])
    return [path]


def make_training_state(folder):
    """A finished run of a small network."""
    _trainer(folder).run(resume=False)


def _trainer(folder):
    from nlpkit.core.io.records import Line
    from nlpkit.core.model.dataset import WindowDataset
    from nlpkit.core.training.settings import TrainSettings
    from nlpkit.core.training.trainer import Hooks, Trainer
    from nlpkit.nn.backbones import build
    from nlpkit.tasks.ner.data import Entity, Example
    from nlpkit.tasks.ner.settings import NerSettings
    from nlpkit.tasks.ner.task import NerTask

    torch.manual_seed(0)
    ner = NerTask(NerSettings(("company", "name"), head_size=16))
    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
    network = ner.network(build({"type": "roformer_v2", "vocab_size": REVIEWS.vocab_size, **sizes}))
    examples = [Example(SENTENCE, (Entity(0, 3, "name"),), Line(SENTENCE, "-", 1))] * 4
    hooks = Hooks(lambda: {"f1": 0.5}, "f1", lambda metrics: None, lambda progress: None)
    settings = TrainSettings(epochs=1, batch_size=2, lr=1e-3, save_every=0)
    batches = WindowDataset(ner, examples, REVIEWS, 64, batch_size=2, seed=5)
    return Trainer(network, batches, 2, settings, hooks, folder, torch.float32)


# name → (make, use, reseal, names of files that are not mutated); `use` is given the folder.
FOLDERS = {
    "ner torch": (save_tiny, lambda f: answer(load_ner(str(f), *CPU, runtime="torch")), reseal),
    "ner onnx": (make_ner, lambda f: answer(load_ner(str(f), *CPU)), reseal),
    "ner exported": (make_exported, lambda f: answer(load_ner(str(f), *CPU)), reseal),
    "relation": (make_relation, lambda f: answer(load_relation(str(f), *CPU)), reseal),
    "event": (make_event, lambda f: answer(load_event(str(f), *CPU)), reseal),
    "classify ngram": (lambda f: save_ngram(f, task()), lambda f: answer(load_classifier(str(f))), reseal),
    "classify encoder": (
        lambda f: save_encoder(f, task()), lambda f: answer(load_classifier(str(f), *CPU)), reseal
    ),
    "embed static": (save_static, lambda f: vector(load_embedder(str(f))), reseal),
    "embed onnx": (save_embedder, lambda f: vector(load_embedder(str(f), *CPU)), reseal),
    "embed sentence-transformers": (make_sentence_transformers, lambda f: vector(load_embedder(str(f), *CPU)), None),
    "hugging face": (make_bert, lambda f: load_backbone(str(f), lambda: ()), None),
    "hugging face bin": (lambda f: make_bert(f, True), lambda f: load_backbone(str(f), lambda: ()), None),
    "vocabulary": (make_bert, lambda f: find_tokenizer(str(f / "vocab.txt")).encode(SENTENCE), None),
    "summarize extractor": (
        make_extractor, lambda f: answer(Summarizer(20, scorer=Extractor.load(str(f))), "长江是河。它很长。"), reseal
    ),
    "model card": (make_ner, read_folder_facts, reseal),
    "kgqa": (make_kgqa, use_kgqa, reseal),
    "graph": (make_graph, use_graph, reseal),
    "index": (make_index, use_index, reseal),
    "index build": (make_unfinished_index, resume_index, None),
    "corpus": (make_corpus, use_corpus, reseal),
    "whitening": (make_map, use_map, reseal),
    "vectors": (make_vectors, use_vectors, None),
    "dictionary": (make_dictionary, use_dictionary, reseal_dictionary),
    "training state": (make_training_state, lambda f: _trainer(f).run(resume=True), None),
}  # fmt: skip
WRITERS = ("index build", "dictionary", "training state")  # they write into the folder
