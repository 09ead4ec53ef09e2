"""Settings of a training run. The command line makes an option of every field with an `Option`; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated

from nlpkit.core.model import Store
from nlpkit.core.training.option import DEVICE, DTYPE, RESUME, STORE, Option
from nlpkit.errors import UsageError
from nlpkit.nn.optim import OptimizerName

DROPOUT = Option("Dropout rate in the backbone and before the head.", min=0.0, max=0.9)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of the training loop."""

    epochs: Annotated[int, Option("Number of passes over the training set.", min=1)] = 10
    batch_size: Annotated[int, Option("Sequences per batch.", min=1)] = 32
    lr: Annotated[
        float | None,
        Option(
            "Peak learning rate.",
            min=0.0,
            none="3e-4 for backbones of width up to 512, 3e-5 for wider ones",
        ),
    ] = None
    head_lr: Annotated[
        float | None, Option("Learning rate of the task head.", min=0.0, none="2 × --lr, at least 1e-3")
    ] = None
    layer_decay: Annotated[
        float, Option("Learning rate of a layer relative to the layer above it.", min=0.1, max=1.0)
    ] = 1.0
    freeze_layers: Annotated[
        int,
        Option("Number of lowest layers to keep fixed, and the embeddings with them (0: train everything).", min=0),
    ] = 0
    # A backbone that was pretrained without dropout may be hurt by it.
    dropout: Annotated[float, DROPOUT] = 0.0
    weight_decay: Annotated[
        float,
        Option(
            "Decoupled weight decay of matrices; with muon, weights grow without bound in a long run if it is too "
            "small.",
            min=0.0,
        ),
    ] = 0.01
    warmup: Annotated[float, Option("Fraction of the run over which the learning rate rises.", min=0.0, max=0.9)] = 0.1
    decay: Annotated[
        float,
        Option("Fraction of the run, at its end, over which the learning rate decays to 0.", min=0.0, max=1.0),
    ] = 0.9
    clip: Annotated[float, Option("Maximum gradient norm (0: no clipping).", min=0.0)] = 1.0
    accumulate: Annotated[int, Option("Batches per optimizer update.", min=1)] = 1
    fgm: Annotated[
        float,
        Option("FGM adversarial training: L2 norm of the embedding perturbation (0: off; doubles the cost).", min=0.0),
    ] = 0.0
    gradient_penalty: Annotated[
        float,
        Option(
            "Weight of the gradient penalty, half the squared norm of the gradient at the embeddings (0: off; 1 is "
            "usual; triples the cost).",
            min=0.0,
        ),
    ] = 0.0
    ema: Annotated[
        float,
        Option(
            "Decay of the exponential moving average of the weights, which is then saved (0: off).",
            min=0.0,
            max=0.99999,
        ),
    ] = 0.0
    seed: Annotated[int, Option("Random seed (weights, order, dropout, masks).")] = 42
    optimizer: Annotated[
        OptimizerName,
        Option("Optimizer; muon trains the matrices of the backbone's layers, and AdamW the other weights."),
    ] = "adamw"
    # Compilation takes a minute.
    compile: Annotated[bool, Option("Use torch.compile, for long runs on a GPU.")] = False
    save_every: float = 60.0  # seconds between two writes of the state


def learning_rates(settings: TrainSettings, width: int) -> tuple[float, float]:
    """Return the peak learning rates (lr, head_lr) for a backbone of this width."""
    lr = settings.lr if settings.lr is not None else 3e-4 if width <= 512 else 3e-5
    return lr, settings.head_lr if settings.head_lr is not None else max(2 * lr, 1e-3)


def _threshold(text: str) -> float | None:
    """Return a probability, or None for `auto`."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"--threshold {text}: a number between 0 and 1, or auto")
    return value


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Settings of a training job around the loop: model, device, evaluation, files."""

    backbone: Annotated[
        str,
        Option(
            "Model to start from: name of an embedded model, folder, hub name, or random weights of L layers and "
            "width D.",
            names=("--model", "-m"),
            metavar="NAME|DIR|roformer_v2:LxD",
        ),
    ] = "nlpkit-base"
    # With [CLS] and [SEP]; never more than the backbone's own maximum.
    max_length: Annotated[
        int, Option("Maximum number of tokens per sequence; longer texts are cut into windows.", min=16)
    ] = 256
    fold_mask: Annotated[
        float,
        Option(
            "Fold [MASK] into the embeddings of a backbone that was pretrained with this fraction masked.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.0
    join: Annotated[
        int,
        Option("Also train on concatenations of up to N texts, so that the model handles longer inputs.", min=1),
    ] = 1
    device: Annotated[str, DEVICE] = "auto"
    dtype: Annotated[str, DTYPE] = "auto"  # bf16 and fp16 mean autocast
    threshold: Annotated[
        float | None,
        Option(
            "Minimum score of a result, to store; auto selects the best one on the dev set, and calibrates the scores.",
            metavar="P|auto",
            none="auto",
            parse=_threshold,
        ),
    ] = 0.5
    store: Annotated[Store, STORE] = "fp32"
    resume: Annotated[bool, RESUME] = False
    evaluations: Annotated[int, Option("Number of evaluations on the dev set per epoch.", min=1)] = 1
    sources: dict[str, list[str]] | None = None  # names of the files, for the manifest
