"""Write the generated blocks of the documentation: tables, sample outputs and help texts.

    python tests/bench/tables.py [KIND…]        KIND: table, output, help; all when none is given

Tables come from tests/bench/results, the others from the commands themselves. A block stands between
`<!-- kind:name -->` and `<!-- end -->` in README*.md, docs/ or results/; the rest of these files is not touched.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

from classify_quality import ID_RUNS, RUNS
from common import RESULTS, ROOT
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.core.model.manifest import EMBEDDED, embedded_names, read_card, read_manifest
from nlpkit.core.onnx.choice import MAX_LOSS

KINDS = ("table", "output", "help")


def result(name: str) -> dict[str, Any]:
    """A recorded result."""
    loaded: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def table(*rows: tuple[object, ...]) -> str:
    """Markdown; the first row is the head."""
    lines = ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


@cache
def output(command: str) -> str:
    """What a command prints, as an indented block."""
    environment = os.environ | {"NLPKIT_DTYPE": "fp32"}  # so that all machines print the same scores
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return "".join(f"    {line}\n" for line in done.stdout.splitlines()).rstrip("\n")


GENERAL = ("ner_general_msra", "ner_general_weibo", "ner_general_boson")


def quality() -> str:
    """The rows of `ner_quality.py`, and published ones beside them."""
    rows: list[tuple[object, ...]] = [("model", "dev set", "parameters", "P", "R", "F1", "source")]
    commands = []
    for name in ("ner_cluener", *GENERAL, "ner_cmeee"):
        found = result(name)
        figures = [f"{found[key]:.4f}" for key in ("precision", "recall", "f1")]
        size = f"{found['parameters'] / 1e6:.1f}M"
        rows.append((found["title"], found["dev_set"], size, *figures, "`ner_quality.py`"))
        commands += [f"    {command}" for command in found["commands"]]
    rows.append(("BiLSTM-CRF", "CLUENER", "", "", "", "0.7000", "published, CLUENER's README"))
    rows.append(("BERT-base, CRF", "CLUENER", "102M", "", "", "0.7951", "published, kexue.fm 8877"))
    rows.append(("BERT-base, Efficient GlobalPointer", "CLUENER", "102M", "", "", "0.8066", "published, kexue.fm 8877"))
    rows.append(("BERT-base, Efficient GlobalPointer", "CMeEE", "102M", "", "", "0.6516", "published, kexue.fm 8877"))
    labels: list[tuple[object, ...]] = [("F1 of `ner-general`", "PER", "LOC", "ORG", "TIME")]
    for name in GENERAL:
        by_label = result(name)["labels"]
        figures = [f"{by_label[label]['f1']:.4f}" if label in by_label else "" for label in labels[0][1:]]
        labels.append((result(name)["dev_set"], *figures))
    long = result("ner_long_text")["f1"]
    texts = ", ".join(f"{figure:.3f} in documents of {size}" for size, figure in list(long.items())[1:])
    return (
        table(*rows)
        + "\n\n"
        + table(*labels)
        + "\n\nThe commands (DATA is the data folder, FOLDER that of `ner_quality.py`; for the embedded models see"
        " `nlpkit models`):\n\n"
        + "\n".join(commands)
        + f"\n\nThe same CLUENER dev sentences joined to long texts, read in windows (`ner_long_text.py`): {texts}."
    )


def processor(found: dict[str, Any]) -> str:
    """What is to be said where a result is not of the machine that the others are of."""
    return ", a Xeon with AMX" if found["benchmark"].endswith("amx") else ""


def speed() -> str:
    """The side-by-side runs."""
    ner, startup, memory = result("ner_speed"), result("startup"), result("ner_memory")
    rows: list[tuple[object, ...]] = [("what", "nlpkit", "against", "ratio", "script")]
    base = ner["texts_per_second"]["transformers"]
    for name, ratio in ner["ratio"].items():
        runtime, precision = name.split()[1:]
        what = f"NER, {ner['lines']:,} lines, {ner['backbone']}, `--runtime {runtime} --dtype {precision}`"
        against = f"transformers pipeline, default settings: {base:,.0f} texts/s"
        rows.append((what, f"{ner['texts_per_second'][name]:,.0f} texts/s", against, f"{ratio}×", "`ner_speed.py`"))
    for name, ratio in startup["ratio"].items():
        ours, other = name.split(" : ")
        seconds = startup["seconds"]
        rows.append(
            (f"`{ours}`, cold", f"{seconds[ours]} s", f"`{other}`: {seconds[other]} s", f"{ratio}×", "`startup.py`")
        )
    peak = startup["ner_peak_mib"]
    rows.append(("peak memory, `ner` on one line", f"{peak['onnx']} MiB", f"`--runtime torch`: {peak['torch']} MiB",
                 f"{peak['onnx'] / peak['torch']:.2f}×", "`startup.py`"))  # fmt: skip
    small, large = memory["peak_mebibytes"].items()
    rows.append((f"peak memory, {large[0]}", f"{large[1]:,.0f} MiB", f"{small[0]}: {small[1]:,.0f} MiB",
                 f"{memory['difference_mebibytes']:+,.0f} MiB", "`ner_memory.py`"))  # fmt: skip
    for pretraining in recorded("pretrain_speed", "pretrain_speed_amx"):
        for arch, name in (("roformer_v2", "RoFormerV2 6×384"), ("gau_alpha", "GAU-α 12×384")):
            found = pretraining[arch]
            what = f"pretraining {name}, {pretraining['precision']}{processor(pretraining)}"
            against = f"the matrix product alone: {pretraining['matrix_product_gflops']:,} GFLOP/s"
            share = f"{found['gflops']} GFLOP/s, {found['share_of_matrix_product']:.0%}"
            rows.append((what, f"{found['tokens_per_second']:,} tokens/s", against, share, "`pretrain_speed.py`"))
    rows += classification_speed() + event_speed() + embedding_speed() + graph_speed()
    machine = ner["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, if nothing else is said"
    return table(*rows) + f"\n\nMachine: {where}."


def classification_speed() -> list[tuple[object, ...]]:
    """The rows of `classify_speed.py`."""
    found = result("classify_speed")
    script, lines = "`classify_speed.py`", f"lines of {found['characters']} characters"
    call, command = (f"{found['ngram'][name]:,} texts/s" for name in ("call", "command"))
    rows: list[tuple[object, ...]] = [
        (f"classification by n-grams, {lines}, Python API", call, "", "", script),
        ("the same, `nlpkit classify` with its start, 60,000 lines", command, "", "", script),
    ]
    base = found["texts_per_second"]["transformers"]
    for name, ratio in found["ratio"].items():
        if name.startswith("nlpkit"):
            runtime, precision = name.split()[1:]
            options = f"`--runtime {runtime} --dtype {precision}`"
            what = f"classification, {found['lines']:,} lines, {found['backbone']}, {options}"
            against = f"transformers pipeline, default settings: {base:,.0f} texts/s"
            rows.append((what, f"{found['texts_per_second'][name]:,.0f} texts/s", against, f"{ratio}×", script))
    return rows


def event_speed() -> list[tuple[object, ...]]:
    """Events against a loop over types and roles; decoding; memory."""
    rows: list[tuple[object, ...]] = []
    for found in recorded("event_speed"):
        ours, loop = found["texts_per_second"].values()
        what = f"events, {found['types']} types, {found['labels']} roles, {found['backbone']}"
        against = f"a pass per type and role: {loop} texts/s"
        rows.append((what, f"{ours:,.0f} texts/s", against, f"{found['ratio']:.0f}×", "`event_speed.py`"))
        share = found["decoding_seconds"]["as initialised"]["share"]
        rows.append(
            ("decoding events, 1,000 sentences, untrained", f"{share:.1%}", "the forward pass", "", "`event_speed.py`")
        )
        worst = f"{found['worst_graph_ms']} ms"
        rows.append(("the worst graph, 25 spans, density 0.8", worst, "", "", "`event_speed.py`"))
        parts, dense = found["mebibytes_at_512"].values()
        against = f"a logit for every label and span: {dense:,.0f} MiB"
        rows.append(("memory of a sequence of 512 tokens", f"{parts:,.0f} MiB", against, "", "`event_speed.py`"))
    return rows


def embedding_speed() -> list[tuple[object, ...]]:
    """Encoders and static vectors against sentence-transformers; search; whitening."""
    rows: list[tuple[object, ...]] = []
    for found in recorded("embed_speed", "embed_speed_amx"):
        for model, sides in found.items():
            if not isinstance(sides, dict) or "ratio" not in sides:
                continue
            base = sides["texts_per_second"]["sentence-transformers"]
            for name, ratio in sides["ratio"].items():
                what = f"embeddings, {found['lines']:,} lines, {model}, `--dtype {name.split()[1]}`{processor(found)}"
                speed = f"{sides['texts_per_second'][name]:,.0f} texts/s"
                against = f"sentence-transformers, default: {base:,.0f} texts/s"
                rows.append((what, speed, against, f"{ratio}×", "`embed_speed.py`"))
    for found in recorded("static_speed"):
        call, whole, theirs = found["lines_per_second"].values()
        against = f"sentence-transformers' StaticEmbedding: {theirs:,} lines/s"
        rows.append(
            ("static vectors, the call", f"{call:,} lines/s", against, f"{found['ratio']}×", "`static_speed.py`")
        )
        rows.append(("static vectors, `nlpkit embed` to .npy, cold", f"{whole:,} lines/s", "", "", "`static_speed.py`"))
    for found in recorded("search_speed"):
        ours, theirs = found["queries_per_second"].values()
        what = f"exact search, {found['vectors']:,} made-up vectors of {found['dim']} around 1,000 centres"
        rows.append(
            (what, f"{ours:,} queries/s", f"numpy: {theirs:,} queries/s", f"{found['ratio']}×", "`search_speed.py`")
        )
        graph = found["graph"]
        near, exact = graph["queries_per_second"].values()
        what = f"graph search, {graph['vectors']:,} of them, {graph['recall']:.1%} of the exact hits"
        against = f"exact search: {exact:,} queries/s"
        rows.append((what, f"{near:,} queries/s", against, f"{near / exact:.2f}×", "`search_speed.py`"))
    for found in recorded("search_scale"):
        times, count = found["milliseconds_of_a_query"], found["texts"]
        for method in ("hybrid", "bm25", "vector"):
            what = f"search query, {count:,} texts, one query, `--method {method}`"
            against = f"`--method exact`: {times['exact']['mean']} ms"
            ratio = f"{times['exact']['mean'] / times[method]['mean']:.1f}×"
            rows.append((what, f"{times[method]['mean']} ms", against, ratio, "`search_scale.py`"))
        for stage, part in found["build"].items():
            if stage != "texts":
                what = f"search build, {stage} of {count:,} texts"
                cost = f"{part['cpu_seconds']:,} s of CPU, peak {part['peak_mebibytes']:,} MiB"
                rows.append((what, cost, "", "", "`search_scale.py`"))
    for found in recorded("embed_memory"):
        fit = found["whitening"]
        what = f"whitening of {found['vectors']:,} vectors of {found['dim']}"
        rows.append((what, f"{fit['peak_mebibytes']:,} MiB, {fit['seconds']:.0f} s", "", "", "`embed_memory.py`"))
    return rows


def graph_speed() -> list[tuple[object, ...]]:
    """Graphs and the questions to them."""
    rows: list[tuple[object, ...]] = []
    for found in recorded("kgqa_speed"):
        speeds = found["questions_per_second"]
        for theirs, ratios in found["ratio"].items():
            how = theirs.removeprefix("transformers, ").replace("sorted", "sorted by length")
            against = f"transformers `generate`, same weights and keys, {how}: {speeds[theirs]:,.1f} questions/s"
            for side, ratio in ratios.items():
                search = f"{side}, beam {found['beam']}"
                what = search if "search" in side else f"`{side}`, as it answers"
                rows.append((what, f"{speeds[side]:,.0f} questions/s", against, f"{ratio}×", "`kgqa_speed.py`"))
    for found in recorded("graph_scale"):
        built, answering = found["build"], found["answering"]
        what = f"graph of {found['triples']:,} triples: build"
        figures = f"{built['seconds']:,.0f} s, {built['peak_mebibytes']:,} MiB"
        rows.append((what, figures, "the published dict trie: 30 min", "", "`graph_scale.py`"))
        figures = f"{found['bytes']['total'] / 1e6:,.0f} MB, {answering['opening_seconds'] * 1000:.0f} ms"
        rows.append(("the same: size, opening", figures, "1.8 GB, 5 min", "", "`graph_scale.py`"))
        rows.append(
            (
                "the same: memory while answering",
                f"{answering['resident_mebibytes']:,} MiB",
                "30 GB",
                "",
                "`graph_scale.py`",
            )
        )
        median, root = answering["next_tokens_microseconds"]["median"], answering["next_tokens_at_root_microseconds"]
        rows.append(("the same: `next_tokens`, median, root", f"{median} µs, {root} µs", "", "", "`graph_scale.py`"))
    return rows


def recorded(*names: str) -> list[dict[str, Any]]:
    """Those of the results that there are."""
    return [result(name) for name in names if (RESULTS / f"{name}.json").exists()]


def backbones() -> str:
    """The rows of `backbone_quality.py`."""
    rows: list[tuple[object, ...]] = [("backbone", "parameters", "tokens", "masked accuracy", "CLUENER dev F1")]
    for found in result("backbone_quality")["rows"].values():
        tokens, accuracy = found["tokens"], found["masked_accuracy"]
        size = f"{found['parameters'] / 1e6:.1f}M"
        shown = (f"{tokens / 1e6:.1f}M", f"{accuracy:.3f}") if tokens else ("none", "")
        rows.append((found["title"], size, *shown, f"{found['f1']:.4f}"))
    commands = [row["commands"] for row in result("backbone_quality")["rows"].values()]
    lines = [f"    {command}" for command in dict.fromkeys(command for some in commands for command in some)]
    return table(*rows) + "\n\nThe commands (`backbone_quality.py`):\n\n" + "\n".join(lines)


def students() -> str:
    """The rows of `backbone_students.py`."""
    found = result("backbone_students")
    rows: list[tuple[object, ...]] = [("backbone", "parameters", "TC F1", "AC F1")]
    for row in found["rows"].values():
        size = f"{row['parameters'] / 1e6:.1f}M"
        rows.append((row["title"], size, f"{row['triggers']:.3f}", f"{row['arguments']:.3f}"))
    return table(*rows) + f"\n\n    {found['train']}\n    {found['evaluate']}"


def events() -> str:
    """The rows of `event_quality.py`: events, where the errors are, relations."""
    rows: list[tuple[object, ...]] = [("events", "dev set", "TI", "TC", "AI", "AC", "whole events", "characters")]
    errors: list[tuple[object, ...]] = []
    keys = (
        "trigger_identification", "trigger_classification", "argument_identification", "argument_classification",
        "event", "argument_characters",
    )  # fmt: skip
    for found in recorded("event_fewfc", "event_fewfc_all", "event_fewfc_random", "event_duee", "event_duee_all"):
        rows.append((found["title"], found["dev_set"], *(f"{found[key]['f1']:.4f}" for key in keys)))
        kinds = found["errors"]["arguments"]
        errors = errors or [("gold arguments of", *(kind.replace("_", " ") for kind in kinds))]
        errors.append((f"{found['title']}, {found['dev_set']}", *kinds.values()))
    relations: list[tuple[object, ...]] = [("relations", "dev set", "P", "R", "F1")]
    for found in recorded("relation_duie", "relation_duie_random"):
        figures = (f"{found['triple'][key]:.4f}" for key in ("precision", "recall", "f1"))
        relations.append((found["title"], found["dev_set"], *figures))
    trips: list[tuple[object, ...]] = [("gold to links and back", "texts", "the same", "why not")]
    for name, found in result("round_trip")["sets"].items():
        why = "; ".join(f"{reason}: {count}" for reason, count in found["exceptions"].items())
        trips.append((name, found["texts"], found["the same"], why))
    tables = "\n\n".join(table(*part) for part in (rows, errors, relations, trips) if len(part) > 1)
    return tables + "".join(map(without_events, recorded("event_absent")))


def without_events(found: dict[str, Any]) -> str:
    """What `event_absent.py` found, in a sentence."""
    return (
        f"\n\nOf {found['texts']:,} lines of general text in which no trigger of FewFC and DuEE occurs, "
        f"{found['with_event']} get an event (`event_absent.py`)."
    )


def embeddings() -> str:
    """The rows of `embed_quality.py`, and published ones beside them."""
    rows: list[tuple[object, ...]] = [("model", "pooling", "whitened", "ATEC", "BQ", "LCQMC", "PAWSX", "STS-B", "mean")]
    for found in result("embed_quality")["rows"]:
        whitened = {"none": "no", "stored": "PCA"}.get(found["whitening"], "yes") if "whitening" in found else ""
        scores = [f"{score:.1f}" for score in found["scores"].values()]
        rows.append((found["name"], found.get("pooling", ""), whitened, *scores, f"{found['mean']:.1f}"))
    published = {  # kexue.fm 8348, test splits
        ("BERT-base, published", "cls", "no"): (16.59, 29.35, 41.71, 15.15, 34.65),
        ("BERT-base, published", "first-last", "yes"): (27.00, 32.29, 64.75, 17.80, 69.45),
        ("BERT-base SimCSE, published", "cls", "no"): (33.14, 50.67, 69.99, 12.95, 69.04),
        ("SimBERT-small, published", "cls", "no"): (30.68, 43.41, 74.73, 15.89, 70.54),
        ("static word vectors (Tencent), published", "mean", "no"): (20.00, 31.49, 59.46, 2.57, 55.78),
    }
    for name, figures in published.items():
        rows.append((*name, *(f"{figure:.1f}" for figure in figures), f"{sum(figures) / 5:.1f}"))
    return table(*rows)


def classification() -> str:
    """The rows of `classify_quality.py`, and published ones beside them."""
    found = result("classify_quality")
    head = ("set", "dev texts", "measure", "encoder", "95 % interval", "AUC", "n-grams", "most frequent label")
    rows: list[tuple[object, ...]] = [(*head, "published")]
    published = {
        "sentiment": "94.7–95.8 (base models, bert4torch)",
        "THUCNews titles": "91.2 (TextCNN), 92.2 (FastText), 180k titles, test",
    }
    for name in (*RUNS, "sentiment, unseen"):
        if name not in found["rows"]:
            continue
        row = found["rows"][name]
        measure = "f1" if name == "DuEE event types" else "accuracy"
        floors = [f"{100 * row['floors'][key][measure]:.1f}" if key in row["floors"] else "" for key in FLOORS]
        between = " – ".join(f"{100 * row['interval'][end]:.1f}" for end in ("low", "high"))
        area = f"{row['auc']:.3f}" if "auc" in row else ""
        score = f"{100 * row[measure]:.1f}"
        texts = f"{row['texts']:,}"
        rows.append((name, texts, MEASURES[measure], score, between, area, *floors, published.get(name, "")))
    few: list[tuple[object, ...]] = [("sentiment, dev", "runs", "accuracy", "published, RoBERTa-base")]
    for name, figures in found["few"].items():
        value = f"{100 * figures['mean']:.1f} ± {100 * figures['deviation']:.1f}"
        few.append((name, figures["runs"], value, {"168 labels": "88.9"}.get(name, "90.4")))
    ids: list[tuple[object, ...]] = [("OPPO-xiaobu, 8,000 pairs for training, 2,000 for dev", "AUC", "accuracy")]
    for name in ID_RUNS:
        if name in found["rows"]:
            row = found["rows"][name]
            ids.append((name, f"{row['auc']:.3f}", f"{100 * row['accuracy']:.1f}"))
    lines = [f"    {row['command']}" for row in found["rows"].values() if "command" in row]
    parts = [table(*part) for part in (rows, few, ids) if len(part) > 1]
    where = "The commands (DATA is the data folder, WORK that of `classify_quality.py`):"
    return "\n\n".join([*parts, where, "\n".join(lines)])


FLOORS = ("ngram", "majority")
MEASURES = {"accuracy": "accuracy", "f1": "micro F1"}


def summaries() -> str:
    """The rows of `summarize_quality.py`."""
    found = result("summarize_quality")
    rows: list[tuple[object, ...]] = [("summary", "ROUGE-L", "ROUGE-1", "ROUGE-2")]
    rows += [(name, *(f"{value:.1f}" for value in scores.values())) for name, scores in found["rows"].items()]
    return table(*rows)


def retrieval() -> str:
    """The rows of `retrieval_quality.py`."""
    methods = ("vector", "bm25", "hybrid")
    rows: list[tuple[object, ...]] = [("model", "queries", *(f"{method}, R@1 / R@10" for method in methods))]
    for model, kinds in result("retrieval_quality")["rows"].items():
        for kind, found in kinds.items():
            scores = (found[method] for method in methods)
            cells = [f"{score['recall@1']:.3f} / {score['recall@10']:.3f}" for score in scores]
            rows.append((f"`{model}`", f"{found['queries']:,} {kind}, {found['texts']:,} texts", *cells))
    return table(*rows)


def calibration() -> str:
    """The rows of `calibration.py`."""
    found = result("calibration")
    halves = f"mean of {found['random_halves']} random halvings"
    rows: list[tuple[object, ...]] = [("model", "dev set", "scores of", "results", "before", "after", "chance", halves)]
    for row in found["rows"]:
        before, after, chance = (
            " / ".join(f"{half[name]:.3f}" for half in row["halves"]) for name in ("before", "after", "chance")
        )
        mean = row["random_halves"]
        drawn = f"{mean['before']:.3f} → {mean['after']:.3f} (chance {mean['chance']:.3f})"
        rows.append(
            (f"`{row['model']}`", row["dev_set"], row["what"], f"{row['results']:,}", before, after, chance, drawn)
        )
    return table(*rows)


def questions() -> str:
    """The rows of `kgqa_quality.py`."""
    rows: list[tuple[object, ...]] = [("KgCLUE dev", "EM", "F1", "score", "subject", "predicate")]
    for name, found in result("kgqa_quality")["results"].items():
        figures = [f"{found[key]:.4f}" for key in ("em", "f1", "score", "em_subject", "em_predicate")]
        rows.append((name, *figures))
    return table(*rows) + "".join(map(absent, recorded("kgqa_absent"))) + "".join(map(chains, recorded("kgqa_chains")))


def absent(found: dict[str, Any]) -> str:
    """Return the rows of `kgqa_absent.py`: the statuses of answers with and without the subject in the graph."""
    names = {
        "present": "the graph",
        "absent": "without their subjects",
        "near": "subjects under near names only",
        "small, there": "100 subjects alone: their questions",
        "small, others": "100 subjects alone: the questions of others",
    }
    statuses = ("ok", "unsure", "not_in_graph")
    head = ("over", "questions", *(f"`{status}`" for status in statuses), "of these right", "right subject")
    rows: list[tuple[object, ...]] = [head]
    for key, name in names.items():
        row = found["results"][key]
        figures = [f"{row[status]:.1%}" for status in statuses]
        right = [f"{row[part]:.1%}" if key in ("present", "small, there") else "" for part in RIGHT]
        rows.append((name, row["questions"], *figures, *right))
    return (
        f"\n\nThe statuses of the answers to {found['questions']} questions of dev that neither weights nor "
        "thresholds were fitted on, where the graph has their subjects and where it has not (`kgqa_absent.py`). Nine "
        "of ten triples of this graph are made up, most of them with a predicate like the right one, so that an answer "
        "that is `ok` has the right subject more often than the right object:\n\n" + table(*rows)
    )


def chains(found: dict[str, Any]) -> str:
    """What `kgqa_chains.py` found, in a sentence."""
    counts, parts = found["results"], []
    for wording in ("as in the graph", "in other words"):
        asked = counts[f"{wording}, asked"]
        right, sure = (
            sum(n for kind, n in counts.items() if kind.startswith(wording) and test in kind)
            for test in (", right, ok", ", ok")
        )
        parts.append(
            f"with the first predicate {wording} {right} of {asked} right, {sure - right} wrong and held to be sure"
        )
    return (
        f"\n\nTwo-hop questions of CKBQA, {found['questions']}, over a graph made from their gold queries, with "
        f"distractors (`kgqa_chains.py`): {'; '.join(parts)}. Half a chain counts as wrong."
    )


def tolerance() -> str:
    """What bf16 changes."""
    found = result("ner_precision")
    difference = found["score_difference"]
    return (
        f"On CLUENER dev F1 is {found['f1']['fp32']:.4f} in fp32 and {found['f1']['bf16']:.4f} in bf16; "
        f"{found['same_entities']:.1%} of the entities are the same, and their scores differ by {difference['median']} "
        f"at the median, {difference['99 %']} at the 99th percentile (`tests/bench/ner_precision.py`). "
        f"The tolerance: scores within 0.05 (the furthest here: {difference['greatest']}), F1 within 0.005; take "
        "`--dtype fp32` where scores must repeat exactly."
    )


def int8() -> str:
    """The quality of the models in int8, and which ones `auto` takes it for."""
    rows: list[tuple[object, ...]] = [("model", "figure", "fp32", "int8", "int8 without VNNI", "`auto` takes int8")]
    for name, found in result("int8_quality")["models"].items():
        figures = [found[key] for key in ("fp32", "bits_8", "bits_7")]
        holds = [round(figures[0] - figure, 2) <= MAX_LOSS for figure in figures[1:]]
        where = "yes" if all(holds) else "with VNNI" if holds[0] else "without VNNI" if holds[1] else "no"
        shown = [f"{figure:.2f}" for figure in figures]
        rows.append((f"`{name}`", f"{found['metric']}, {found['data']}", *shown, where))
    return table(*rows)


def storage() -> str:
    """What it costs to store weights in fewer bits."""
    rows: list[tuple[object, ...]] = [("a model like", "figure", "fp32", "fp16", "int8", "MiB in fp32", "in int8")]
    for name, found in result("storage_quality")["models"].items():
        figures = [f"{figure:.2f}" for figure in found["figures"].values()]
        sizes = [found["mebibytes"][store] for store in ("fp32", "int8")]
        rows.append((f"`{name}`", f"{found['metric']}, {found['data']}", *figures, *sizes))
    return table(*rows)


SCORES = {  # of the embedded models: what its manifest's metric is called, and where it stands there
    "embed-base": ("mean Spearman × 100 of five similarity sets", "dev.mean"),
    "embed-static": ("the same", "dev.mean"),
    "event": ("FewFC dev, argument F1", "dev.f1"),
    "kgqa": ("KgCLUE dev, score", "dev.score"),
    "ner-cluener": ("CLUENER dev, F1", "dev.f1"),
    "ner-general": ("MSRA, Weibo and Boson, held out, F1", "dev.f1"),
    "nlpkit-base": ("loss of masked characters", "held_out.mlm"),
    "relation-duie": ("DuIE, last 500, F1", "dev.f1"),
    "sentiment": ("reviews, dev, accuracy", "dev.accuracy"),
}


def models() -> str:
    """Return the embedded models with their scores and licences."""
    rows: list[tuple[object, ...]] = [("model", "task", "MiB", "score on dev", "", "licence")]
    for name in embedded_names():
        manifest, card = read_manifest(EMBEDDED / name), read_card(EMBEDDED / name)
        what, place = SCORES[name]
        score: Any = manifest.metrics
        for key in place.split("."):
            score = score[key]
        size = sum(path.stat().st_size for path in (EMBEDDED / name).iterdir() if path.is_file()) / 2**20
        shown = f"{score:.3f}" if score < 1 else f"{score:.1f}"
        rows.append((f"`{name}`", manifest.task, f"{size:.1f}", what, shown, card["licence"].partition(";")[0]))
    return table(*rows)


def reliability_faults() -> str:
    """What is lost when something fails."""
    found = result("reliability")
    names = {"kills": "kill -9 at random points", "ray": "Ray"}
    rows: list[tuple[object, ...]] = [
        ("fault", "command", "times", "records lost", "doubled", "same bytes", "exit codes")
    ]
    for kill in found.get("kills", []):
        rows.append(
            (names["kills"], f"`{kill['command']}`, {kill['records']:,} records", kill["kills"], kill["lost"],
             kill["doubled"], yes(kill["same_bytes"]), "")
        )  # fmt: skip
    others = [*found.get("faults", []), *found.get("ray", {}).get("faults", [])]
    for fault in others:
        codes = ", ".join(map(str, fault.get("codes", [])))
        rows.append(
            (fault["fault"], "`ner --ray`" if fault["fault"].startswith("lost") else "", fault["times"],
             fault.get("lost", ""), fault.get("doubled", ""), yes(fault.get("same_bytes")), codes)
        )  # fmt: skip
    return table(*rows)


def yes(value: bool | None) -> str:
    """A truth value as a word; nothing for None."""
    return "" if value is None else "yes" if value else "no"


def reliability_speed() -> str:
    """Processes and Ray against one process."""
    found = result("reliability")
    rows: list[tuple[object, ...]] = [("what", "records", "seconds", "records/s", "same bytes")]
    for row in found.get("workers", []):
        count = row["records"]
        for what, name in (("one process, two threads", "one_process"), ("`--workers 2`", "two_workers")):
            seconds = row[name]
            same = yes(row["same_bytes"]) if name == "two_workers" else ""
            rows.append((f"`{row['command']}`, {what}", f"{count:,}", seconds, f"{count / seconds:,.0f}", same))
    ray = found.get("ray", {})
    for row in ray.get("speed", []):
        rows.append(
            (f"`ner`, {row['what']}", f"{ray['records']:,}", row["seconds"], f"{row['per_second']:,.0f}",
             yes(row.get("same_bytes")))
        )  # fmt: skip
    return table(*rows)


def reliability_memory() -> str:
    """Memory of long runs."""
    rows: list[tuple[object, ...]] = [("command", "records", "seconds", "MiB after a tenth", "MiB at most", "grown")]
    for row in result("reliability").get("soak", []):
        rows.append(
            (f"`{row['command']}`", f"{row['records']:,}", row["seconds"], row["mebibytes_after_a_tenth"],
             row["mebibytes_at_most"], row["grown"])
        )  # fmt: skip
    return table(*rows)


def search_large() -> str:
    """The index of ten million texts."""
    found = result("search_large")
    built, times = found["build"], found["milliseconds_of_a_query"]
    rows: list[tuple[object, ...]] = [
        ("what", "measured"),
        ("texts, bytes of them", f"{found['texts']:,}, {found['bytes_of_texts'] / 1e6:,.0f} MB"),
        ("`search build --resume`", f"{built['seconds'] / 60:,.0f} minutes, killed {built['kills']} times"),
        ("memory of the process at most", f"{built['mebibytes_of_the_process_at_most']:,} MiB"),
        ("the same with mapped files", f"{built['mebibytes_with_mapped_files_at_most']:,} MiB"),
        ("size of the index", f"{sum(found['megabytes'].values()) / 1000:,.1f} GB"),
        ("`search info --check`, all checksums", f"{found['check_seconds']} s"),
        ("opening", f"{found['opening_seconds'] * 1000:,.0f} ms"),
    ]
    for method, value in times.items():
        rows.append((f"a query, `--method {method}`, median (p95)", f"{value['median']:,} ms ({value['p95']:,} ms)"))
    rows.append(("of the ten nearest texts, found by `--method vector`", f"{found['recall_of_hnsw_at_10']:.0%}"))
    return table(*rows)


def serving_throughput() -> str:
    """Requests per second and latencies of services."""
    rows: list[tuple[object, ...]] = [("path", "service", "clients", "requests/s", "p50 ms", "p99 ms")]
    measured = result("serving")
    machine, features = measured["machine"], ", ".join(measured["throughput"]["cpu_features"])
    for row in measured["throughput"]["rows"]:
        for clients, found in row["clients"].items():
            rows.append(
                (f"`{row['path']}`", row["service"], clients, found["per_second"], found["p50_ms"], found["p99_ms"])
            )
    return table(*rows) + f"\n\nMachine: {machine['cpu']}, {machine['cores']} cores ({features})."


def serving_faults() -> str:
    """What a service does under more load than it can bear, with bad requests, and over many requests."""
    found = result("serving")
    memory, overload, hostile = found["memory"], found["overload"], found["hostile"]

    def statuses(counts: dict[str, int]) -> str:
        return ", ".join(f"{status}: {count:,}" for status, count in counts.items())

    samples = memory["mebibytes_after_each_tenth"]
    return table(
        ("what", "requests", "statuses", "other figures"),
        ("many requests of three tasks", f"{memory['requests']:,}", f"200: {memory['requests']:,}",
         f"{samples[0]} MiB after a tenth, at most {max(samples)}"),
        (f"ten times the capacity ({overload['capacity_per_second']}/s) for {overload['seconds']} s, "
         f"`--timeout {overload['timeout_seconds']}`", f"{overload['sent']:,}", statuses(overload["statuses"]),
         f"accepted: {overload['accepted_per_second']}/s, p99 {overload['p99_ms'] / 1000:.1f} s; "
         f"refused: p99 {overload['refused_p99_ms']:.0f} ms"),
        (f"malformed requests, a third of them half-closed, beside {hostile['slow_clients']} slow clients",
         f"{hostile['requests']:,}", statuses(hostile["statuses"]),
         f"status 5xx: {hostile['status_5xx']}; {hostile['normal_requests_afterwards']} normal requests afterwards"),
    )  # fmt: skip


RIGHT = ("right of ok", "right subject of ok")
EVENT = "兴发集团发布公告，控股股东宜昌兴发集团于2019年11月20日将2000万股进行质押。"
PASSAGE = (
    "市图书馆从下个月起延长开放时间，周一至周五开放到晚上十点，周末开放到晚上九点。去年的问卷调查中，超过七成的读者希望图书馆"
    "延长开放时间。为此图书馆新招了十二名工作人员。"
)
KG = "build/demo.kg"
DEMO = f"mkdir -p build && nlpkit graph build data/samples/graph.tsv -o {KG} > /dev/null"
BLOCKS: dict[str, Callable[[], str]] = {
    "output:ner": lambda: output("echo '腾讯公司产品经理王芳表示，《和平精英》下个月将在日本上线。' | nlpkit ner"),
    "output:models": lambda: output("nlpkit models | jq -r '[.name, .task, .mebibytes, .licence] | @tsv'"),
    "output:event": lambda: output(f"echo '{EVENT}' | nlpkit event"),
    "output:relation": lambda: output("echo '《三体》是刘慈欣写的长篇科幻小说。' | nlpkit relation"),
    "output:classify": lambda: output("echo '房间很干净，前台也热情。' | nlpkit classify"),
    "output:summarize": lambda: output(f"echo '{PASSAGE}' | nlpkit summarize --length 40"),
    "output:graph": lambda: output(f"{DEMO} && nlpkit graph get {KG} 黄河"),
    "output:kgqa": lambda: output(f"{DEMO} && echo 长江的长度是多少？ | nlpkit kgqa --graph {KG}"),
    "table:models": models,
    "table:backbones": backbones,
    "table:students": students,
    "table:classification": classification,
    "table:summaries": summaries,
    "table:events": events,
    "table:embeddings": embeddings,
    "table:retrieval": retrieval,
    "table:calibration": calibration,
    "table:questions": questions,
    "table:quality": quality,
    "table:speed": speed,
    "table:reliability_faults": reliability_faults,
    "table:reliability_speed": reliability_speed,
    "table:reliability_memory": reliability_memory,
    "table:search_large": search_large,
    "table:serving_throughput": serving_throughput,
    "table:serving_faults": serving_faults,
    "table:tolerance": tolerance,
    "table:int8": int8,
    "table:storage": storage,
}


def documents() -> list[Path]:
    """Return the Markdown files that may hold generated blocks."""
    return [path for pattern in ("README*.md", "docs/**/*.md", "results/*.md") for path in sorted(ROOT.glob(pattern))]


def help_text(command: str, language: str = "en") -> str:
    """Return what `nlpkit COMMAND --help` prints in a language, as an indented block under the command line."""
    environment = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "NLPKIT_LANG": language}
    result = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="nlpkit", env=environment)
    lines = [f"$ nlpkit {command} --help", *result.stdout.strip("\n").splitlines()]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def language(path: Path) -> str:
    """Return the language of a document."""
    return "zh" if path.parent.name == "zh" or path.stem.endswith(".zh-CN") else "en"


def fill(path: Path, kinds: Collection[str]) -> str:
    """Return the text of a document with its blocks of some kinds made again.

    Raises:
        KeyError: there is no block of such a name.
    """

    def block(match: re.Match[str]) -> str:
        kind, name = match[2], match[3]
        if kind not in kinds:
            return match[0]
        content = help_text(name, language(path)) if kind == "help" else BLOCKS[f"{kind}:{name}"]()
        return f"{match[1]}{content}\n{match[4]}"

    return re.sub(r"(?s)(<!-- (\w+):([\w ]+) -->\n).*?(<!-- end -->)", block, path.read_text(encoding="utf-8"))


def main() -> None:
    """Rewrite the blocks in place."""
    kinds = sys.argv[1:] or KINDS
    for path in documents():
        path.write_text(fill(path, kinds), encoding="utf-8")


if __name__ == "__main__":
    main()
