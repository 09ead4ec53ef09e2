"""Models: loading, saving, devices, and the base classes of tasks."""

from typing import Literal

Store = Literal["fp32", "fp16", "int8"]  # precision of the weights on disk
