"""How a field of a settings class is written on the command line.

>>> @dataclass(frozen=True)
... class Settings:
...     lr: Annotated[float, Option("Peak learning rate.", min=0)] = 1e-3       # --lr
...     save_every: float = 60                                                   # no option
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of a command-line option, for `Annotated`; name, type and default are those of the field.

    Attributes:
        help: what it is, a noun phrase with a full stop.
        min: smallest value of a number.
        max: greatest value of a number.
        metavar: what stands for the value in the help.
        names: how it is written, if not `--` and the field's name.
        none: what a default of None means, for the help; with `parse`, the text of which it makes None.
        parse: makes the value, or one element of a tuple, from the text; raises `UsageError`.
        environment: variable that holds the value where the option is not given.
        values: what the shell completes the value to; others are allowed.
    """

    help: str
    min: float | None = None
    max: float | None = None
    metavar: str | None = None
    names: tuple[str, ...] = ()
    none: str = ""
    parse: Callable[[str], Any] | None = None
    environment: str | None = None
    values: tuple[str, ...] = ()


DEVICE = Option(
    "Device.",
    metavar="auto|cpu|cuda[:n]|mps",
    environment="NLPKIT_DEVICE",
    values=("auto", "cpu", "cuda", "mps"),
)
DTYPE = Option(
    "Precision of the backbone. On a CPU, auto uses int8 (for prediction with ONNX Runtime) where the model keeps its "
    "quality, else bf16 where it is faster than fp32.",
    metavar="auto|fp32|bf16|fp16|int8",
    environment="NLPKIT_DTYPE",
    values=("auto", "fp32", "bf16", "fp16", "int8"),
)
RUNTIME = Option(
    "Inference engine. ONNX Runtime starts faster; auto uses PyTorch on a GPU, and on a CPU where bf16 is faster than "
    "ONNX Runtime.",
    metavar="auto|onnx|torch",
    environment="NLPKIT_RUNTIME",
    values=("auto", "onnx", "torch"),
)
ENCODING = Option(
    "Encoding of the input, e.g. gb18030; UTF-16 with a byte order mark is known.",
    metavar="NAME",
)
RESUME = Option("Continue from the last state in the folder; the result is that of an unbroken run.")
STORE = Option("Precision of the weights on disk; computations are in fp32 or bf16.")
