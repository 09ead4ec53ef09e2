"""nlpkit: Chinese NLP for shell pipelines, and for Python.

>>> import nlpkit
>>> nlpkit.load("ner").predict(["小米创始人雷军在北京发布了新款手机"])
[[Entity(start=0, end=2, label='company', score=…), Entity(start=5, end=7, label='name', score=…), …]]
"""

from nlpkit.api import load
from nlpkit.version import __version__

__all__ = ["__version__", "load"]
