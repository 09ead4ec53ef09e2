"""A small valid file in every format of texts, annotated texts, labelled texts, triples, and rules."""

import json

TEXT = "叶老桂在浙商银行"
EVENT = "甲公司将股份质押给乙银行"


def _lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _conll(tags, separator="\t"):
    return "".join(f"{char}{separator}{tag}\n" for char, tag in zip(TEXT, tags.split(), strict=True)) + "\n"


BIO = "B-name I-name I-name O B-company I-company I-company I-company"
BIOES = "B-name I-name E-name O B-company I-company I-company E-company"
IOB1 = "I-name I-name I-name O I-company I-company I-company I-company"
ENTITIES = [
    {"start": 0, "end": 3, "label": "name", "text": "叶老桂", "score": 0.9},
    {"start": 4, "end": 8, "label": "company"},
]
RELATIONS = [{
    "subject": {"start": 0, "end": 3, "text": "叶老桂"}, "predicate": "任职",
    "object": {"start": 4, "end": 8}, "score": 0.8,
}]  # fmt: skip
EVENTS = [{
    "type": "质押", "trigger": {"start": 6, "end": 8, "text": "质押"},
    "arguments": [{"role": "质权方", "start": 9, "end": 12, "score": 0.5}, {"role": "质押方", "start": 0, "end": 3}],
}]  # fmt: skip
_DUEE = {"event_type": "质押", "trigger": "质押", "trigger_start_index": 6, "arguments": [
    {"role": "质押方", "argument": "甲公司", "argument_start_index": 0, "alias": []},
    {"role": "质权方", "argument": "乙银行", "argument_start_index": 9},
]}  # fmt: skip
_MENTIONS = [
    {"word": "甲公司", "span": [0, 3], "role": "质押方"},
    {"word": "质押", "span": [6, 8], "role": "trigger"},
    {"word": "乙银行", "span": [9, 12], "role": "质权方"},
]
_SPO = {"subject": "叶老桂", "predicate": "任职", "object": "浙商银行"}
_TASK = {"id": 7, "data": {"text": TEXT}, "annotations": [{"completed_by": 1, "result": [
    {"id": "a", "type": "labels", "from_name": "label", "to_name": "text",
     "value": {"start": 0, "end": 3, "labels": ["name"], "text": "叶老桂"}},
    {"id": "b", "type": "labels", "value": {"start": 4, "end": 8, "labels": ["company"]}},
    {"type": "relation", "from_id": "a", "to_id": "b", "labels": ["任职"], "direction": "right"},
]}], "predictions": [{"score": 0.5, "result": []}]}  # fmt: skip

# (task, format, name of the file) → its content; brat is a pair of files.
ANNOTATED = {
    ("ner", "nlpkit", "in.jsonl"): _lines(
        {"text": TEXT, "id": 1, "entities": ENTITIES, "labels": ["name", "company"]},
        {"text": TEXT, "entities": ENTITIES, "relations": RELATIONS},
        {"text": "无", "entities": []},
    ),
    ("ner", "cluener", "in.jsonl"): _lines(
        {"text": TEXT, "label": {"company": {"浙商银行": [[4, 7]]}, "name": {"叶老桂": [[0, 2]]}}},
        {"text": "无", "label": {}},
    ),
    ("ner", "conll", "in.conll"): _conll(BIO) + _conll(BIO, " ") + f"{TEXT}\t{BIO}\n",
    ("ner", "bioes", "in.conll"): _conll(BIOES) * 2,
    ("ner", "iob1", "in.conll"): _conll(IOB1) * 2,
    ("ner", "weibo", "in.conll"): "".join(
        f"{char}{place}\t{tag}\n" for place, (char, tag) in enumerate(zip(TEXT, BIO.split(), strict=True))
    ),
    ("ner", "cmeee", "in.txt"): f"{TEXT}|||0    2    name|||4    7    company|||\r\n无|||\n",
    ("relation", "nlpkit", "in.jsonl"): _lines(
        {"text": TEXT, "relations": RELATIONS}, {"text": "无", "relations": []}
    ),
    ("relation", "duie", "in.jsonl"): _lines(
        {"text": TEXT, "spo_list": [_SPO]},
        {"text": TEXT, "spo_list": [_SPO | {"object": {"@value": "浙商银行", "x": ""}}]},
    ),
    ("relation", "cmeie", "in.jsonl"): _lines({"text": TEXT, "spo_list": [_SPO]}),
    ("event", "nlpkit", "in.jsonl"): _lines({"text": EVENT, "events": EVENTS}, {"text": "无", "events": []}),
    ("event", "duee", "in.jsonl"): _lines({"text": EVENT, "event_list": [_DUEE]}),
    ("event", "duee-fin", "in.jsonl"): _lines(
        {"title": "丙公司", "text": EVENT, "event_list": [_DUEE]}, {"text": "无"}
    ),
    ("event", "fewfc", "in.jsonl"): _lines({"content": EVENT, "events": [{"type": "质押", "mentions": _MENTIONS}]}),
    ("ner", "doccano", "in.jsonl"): _lines(
        {"text": TEXT, "label": [[0, 3, "name"], [4, 8, "company"]]},
        {"text": TEXT, "entities": [{"id": 1, "start_offset": 0, "end_offset": 3, "label": "name"},
                                    {"id": 2, "start_offset": 4, "end_offset": 8, "label": "company"}],
         "relations": [{"id": 3, "from_id": 1, "to_id": 2, "type": "任职"}]},
    ),
    ("relation", "labelstudio", "in.jsonl"): _lines(_TASK, {**_TASK, "id": 8}),
    ("ner", "labelstudio", "in.json"): json.dumps([_TASK, {**_TASK, "id": 8}], ensure_ascii=False, indent=1),
    ("event", "brat", "in.ann"): (
        "T1\tcompany 0 3\t甲公司\nT2\tcompany 9 12\t乙银行\nT3\t质押 6 8\t质押\nR1\t合作 Arg1:T1 Arg2:T2\n"
        "E1\t质押:T3 质押方:T1 质押方2:T2\nA1\t环节 E1 正式上市\nA2\tNegation T1\n"
        "#1\tAnnotatorNotes T1\t好\n*\tx T1 T2\n"
    ),
}  # fmt: skip
LABELLED = {
    ("nlpkit", "in.jsonl"): _lines({"text": "房间好", "label": "好"}, {"text": "坏", "labels": ["a", {"label": "b"}]}),
    ("clue", "in.jsonl"): _lines(
        {"sentence": "房间好", "label": "102", "label_desc": "好"},
        {"sentence1": "花呗", "sentence2": "还款", "label": "1"},
        {"sentence": "坏", "label": "-"},
    ),
    ("tsv", "in.tsv"): "房间好\t好\n\n房间坏\t坏\n",
    ("label-tsv", "in.tsv"): "好\t房间好\n \n坏\t房间坏",
    ("pair-tsv", "in.tsv"): "花呗\t还款\t1\n天气\t还款\t0\n",
    ("fasttext", "in.ftz"): "__label__好 房间好\n__label__a __label__b 甲 乙\n丁 __label__b\n",
    ("csv", "in.csv"): 'label,text\n好,房间好\n\n坏,"房间,""坏"""\n',
}
QUESTIONS = {
    "nlpkit": _lines({"question": "长江的长度？", "answers": [
        {"subject": "长江", "meaning": "", "predicate": "长度", "objects": ["6300公里"]}]}),
    "kgclue": _lines({"question": "长江的长度？", "answer": "长江（河流） ||| 长度 ||| 6300公里"}),
    "nlpcc": _lines({"question": "长江的长度？", "triple": "长江 ||| 长度 ||| 6300公里"}),
}  # fmt: skip
PAIRS = {
    "in.tsv": "今天天气不错\t天气真好\t4\n花呗\t还款\tentailment\n电影\t好看\t0.5\n",
    "in.jsonl": _lines(
        {"sentence1": "今天天气不错", "sentence2": "天气真好", "score": 4},
        {"query": "花呗", "title": "还款", "neg_title": "电影"},
        {"sentence1": "今天", "sentence2": "天气", "label": "neutral"},
    ),
}
SUMMARIES = {
    "in.tsv": "长江是河。它很长。\t长江很长。\n",
    "in.jsonl": _lines({"text": "长江是河。它很长。", "summary": "长"}),
}
TRIPLES = {
    "in.tsv": "江西（中国省份）\t省会\t南昌市\n长江\t长度\t6300公里\n",
    "in.csv": 'subject,predicate,object\n江西,省会,南昌市\n长江,长度,"6300,""公里"""\n',
    "in.jsonl": _lines(
        {"subject": "江西", "meaning": "中国省份", "predicate": "省会", "objects": ["南昌市", 5]},
        {"subject": "长江", "predicate": "长度", "object": 6300.5},
    ),
    "in.nt": '<http://x/长江> <http://x#长度> "6300"@zh .\n<http://x/%E6%B1%9F> <http://x/p> _:b1 .\n',
    "in.nq": '<http://x/长江> <http://x#长度> "6300"^^<http://w/int> <http://x/g> .\n',
    "in.ttl": '@prefix x: <http://x/> .\nx:长江 x:长度 "6300", 5 ; x:p [ x:q ( 1 2 ) ] .\n',
    "in.trig": '@prefix x: <http://x/> .\nx:g { x:长江 x:长度 """6300""" . }\n',
}
TEXTS = {
    "in.txt": f"{TEXT}\n\n{EVENT}\r\n今天天气不错\n",
    "in.jsonl": _lines({"text": TEXT, "id": 1}, {"text": "", "x": [{"y": None}], "n": 12345678901234567890123}),
    "in.csv": f'id,text,标签\n1,{TEXT},a\n2,"今天,""天气""\n不错",b\n',
    "in.tsv": f'id\ttext\n1\t{TEXT}\n2\t"今天 ""天气"""\n',
}
DICTIONARY = "腾讯\tcompany\n浙商银行\tcompany\nIOS\tproduct\n叶老桂\tname\n"
RULES = "# 注释\n石头记\t红楼梦\n谁写了石头记？\t红楼梦\t作者\n"
RELATION_SCHEMA = _lines(
    {"predicate": "总部", "object_type": {"@value": "城市"}, "subject_type": "机构"}, {"predicate": "总部"}
)
EVENT_SCHEMA = _lines(
    {"type": "收购", "roles": ["买方"]}, {"event_type": "收购", "role_list": [{"role": "买方"}, {"role": "其他"}]}
)
CARD = {
    "licence": "Apache-2.0", "sources": [{"name": "x", "url": "http://x"}],
    "int8": {"data": "x", "metric": "F1", "fp32": 77.8, "bits_8": 77.8, "bits_7": 77.7, "weights": "55d5"},
}  # fmt: skip
BACKBONE = {"type": "roformer_v2", "hidden_size": 64, "num_layers": 1, "num_heads": 1, "intermediate_size": 64}
LOG = _lines(
    {"step": 1, "tokens": 5, "elapsed": 0.1, "loss": 2.5, "lr": 1e-3, "tokens_per_second": 10},
    {"step": 2, "tokens": 9, "elapsed": 0.2, "dev": {"f1": 0.5, "labels": {}}, "metric": "f1"},
)
