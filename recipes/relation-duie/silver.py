"""Silver annotation of corpus lines with relations: those that the model is sure of, or that a graph knows.

    python recipes/relation-duie/silver.py lines COUNT CORPUS… > lines.txt
    nlpkit relation lines.txt --threshold 0.3 -o answers.jsonl
    python recipes/relation-duie/silver.py select DATA answers.jsonl > silver.jsonl

`lines` writes corpus lines of up to 150 characters with a word that tells of a relation. `select` keeps a line whose
relations the model is all sure of, except those that are triples of the graphs in DATA (../shared/data). Lines of the
dev set, the last 500 sentences of the DuIE sample, are left out. At most 800 lines are kept for each predicate.
"""

import json
import lzma
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlpkit.core.io.records import dump_line
from nlpkit.tasks.relation.formats import read_examples

LONGEST, DEV, SURE, MOST = 150, 500, 0.8, 800
WORDS = re.compile(
    "《|导演|主演|饰演|演唱|作词|作曲|作者|出生|毕业|董事长|校长|创始人|创办|妻子|丈夫|父亲|母亲|儿子|女儿|国籍|总部|成立于"
    "|主持|嘉宾|配音|编剧|出品|简称|祖籍|代言|面积|人口|首都|海拔|票房|上映"
)
GRAPHS = ("kgclue_qa_triples", "nlpcc_kbqa_triples", "person_relations", "stock_triples", "poetry_triples")
_SENSE = re.compile(r"[（(].*")


def lines(count: int, *paths: str) -> None:
    """Write distinct lines to stdout."""
    seen = set()
    for path in paths:
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            for line in map(str.strip, stream):
                if 12 <= len(line) <= LONGEST and WORDS.search(line) and line not in seen:
                    seen.add(line)
                    print(line)
                    if len(seen) == count:
                        return


def triples(folder: Path) -> set[tuple[str, str, str]]:
    """Return (subject, predicate, object) of the graphs, without the notes in brackets."""
    found = set()
    for name in GRAPHS:
        done = subprocess.run(["zstd", "-dcq", str(folder / f"{name}.tsv.zst")], capture_output=True, check=True)
        for line in done.stdout.decode().splitlines():
            subject, predicate, object_ = line.split("\t", 2)
            found.add((_SENSE.sub("", subject).strip("《》"), predicate, object_.strip("《》")))
    return found


def sure(answers: Path, known: set[tuple[str, str, str]], left_out: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the records of an answer file whose relations are all sure or known, without their scores."""
    for line in answers.open(encoding="utf-8"):
        record = json.loads(line)
        relations = record["relations"]
        if record["text"] in left_out or not relations:
            continue
        for relation in relations:
            triple = relation["subject"]["text"], relation["predicate"], relation["object"]["text"]
            if relation.pop("score") < SURE and triple not in known:
                break
        else:
            yield {"text": record["text"], "relations": relations}


def select(data: Path, answers: Path) -> None:
    """Write silver records to stdout, for rare predicates first come, first served."""
    sample = [str(data / "relation" / "duie2_sample" / "train_5000.json")]
    left_out = {example.text for example in list(read_examples(sample, "duie"))[-DEV:]}
    counts: Counter[str] = Counter()
    for record in sure(answers, triples(data / "kg"), left_out):
        predicates = {relation["predicate"] for relation in record["relations"]}
        if min(counts[predicate] for predicate in predicates) < MOST:
            counts.update(predicates)
            sys.stdout.buffer.write(dump_line(record))
    print(dict(counts.most_common()), file=sys.stderr)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "lines":
        lines(int(arguments[0]), *arguments[1:])
    else:
        select(*map(Path, arguments))
