"""Settings of an embedding model that is trained, `nlpkit train embed`; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nlpkit.core.training.option import Option

Method = Literal["simcse", "cosent"]
Pooling = Literal["cls", "mean", "first-last"]
POOLINGS = ("cls", "pooler", "mean", "first-last")  # of predictions; those of kexue.fm 8348


@dataclass(frozen=True, slots=True)
class EmbedSettings:
    """Settings of an embedding model; see `nn.losses` for the losses and `nn.pooling` for the poolings."""

    method: Annotated[Method, Option("Method: simcse learns from sentences, cosent from scored pairs.")]
    pooling: Pooling = "mean"
    scale: Annotated[float, Option("Inverse temperature of the loss.", min=0.1)] = 20.0
    contrast: Annotated[
        float, Option("CoSENT: weight of a contrastive loss of the best pairs against the rest of the batch.", min=0.0)
    ] = 0.0
    r_drop: Annotated[float, Option("R-Drop weight (0: off; needs --dropout, doubles the cost).", min=0.0)] = 0.0
