"""Detect empty questions: blank, punctuation only, or only question words and greetings."""

import re

from nlpkit.tasks.kgqa.rules import strip_punctuation

_STOP_WORDS = (
    "请问", "请", "问", "问题", "你", "您", "我", "我们", "你们", "他", "她", "它", "大家", "谁", "有人", "有谁",
    "有", "没有", "知道", "不知道", "晓得", "告诉", "说", "说说", "讲讲", "介绍", "能", "能不能", "可以", "可不可以",
    "想", "想要", "想知道", "想问", "要", "什么", "是什么", "为什么", "啥", "何", "何时", "何处", "哪", "哪里",
    "哪儿", "哪个", "哪些", "哪位", "哪种", "哪一个", "怎么", "怎样", "怎么样", "如何", "为何", "多少", "多大",
    "多久", "几", "几个", "什么时候", "吗", "么", "呢", "啊", "呀", "吧", "哦", "噢", "嗯", "哈", "哈哈", "呵呵",
    "嘛", "呗", "啦", "哇", "的", "地", "得", "了", "着", "过", "是", "不是", "是不是", "不", "在", "和", "与", "就",
    "都", "也", "还", "这", "那", "这个", "那个", "这些", "那些", "一下", "一个", "个", "你好", "您好", "谢谢",
    "再见", "早上好", "晚上好", "喂", "嗨", "好", "好的",
)  # fmt: skip
_STOP = re.compile("|".join(sorted(_STOP_WORDS, key=len, reverse=True)))


def is_empty_question(question: str) -> bool:
    """Return whether a question consists of punctuation and stop words only."""
    return not _STOP.sub("", strip_punctuation(question))
