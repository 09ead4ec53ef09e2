"""Folders of sentence-transformers for tests."""

import warnings

from support import NASTY, SENTENCE

TEXTS = [*NASTY, SENTENCE, "叶老桂", "ひらがな と Кириллица", "Hello, WORLD!", "浙商银行 " * 30, SENTENCE * 5]
BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def published(folder, source, *modules, length=40, **more):
    """Saves a pipeline over a backbone; gives the model and its folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Transformer

        first = Transformer(str(source), max_seq_length=length)
        model = SentenceTransformer(modules=[first, *modules], device="cpu", **more)
        model.save(str(folder))
    return model
