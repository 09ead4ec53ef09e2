"""The training loop of all tasks.

A batch is a pure function of the step, and the learning rate is one of the progress. The whole state (weights, moments,
EMA, random generators, best metric) is saved in `training/state.safetensors`. So an interrupted run that is resumed
ends with the same weights as an uninterrupted one.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import safe_open
from torch import Tensor, nn

from nlpkit.core.io.output import make_inside, open_inside
from nlpkit.core.io.progress import silent
from nlpkit.core.model.checkpoint import read_tensors, save_tensors
from nlpkit.core.model.manifest import LOG, STATE, current_names, reader, reason
from nlpkit.core.training.distributed import LossModule, Processes
from nlpkit.core.training.settings import TrainSettings, learning_rates
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.network import Dataset, Inputs, Network
from nlpkit.nn.optim.adversarial import gradient_penalty, perturbed, recorded_embeddings
from nlpkit.nn.optim.ema import EMA
from nlpkit.nn.optim.optimizers import make_optimizers, parameter_groups


@dataclass(slots=True)
class RunProgress:
    """The progress of a run, for progress bars and the log.

    Attributes:
        step: updates so far.
        total_steps: updates of the whole run.
        loss: of the last update.
        lr: current learning rate of the backbone's last layer.
        tokens: tokens in all batches so far, padding included.
        elapsed: seconds, those before a resumption included.
        metrics: of an evaluation, else empty.
        best: best value of the metric so far.
        best_step: its step.
    """

    step: int = 0
    total_steps: int = 0
    loss: float = math.nan
    lr: float = 0.0
    tokens: int = 0
    elapsed: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    best: float = -math.inf
    best_step: int = 0


@dataclass(slots=True)
class Hooks:
    """Callbacks of the training loop.

    Attributes:
        evaluate: returns the dev metrics of the current network; called every `evaluate_every` steps and at the end,
            under the same autocast as training. None without a dev set: the last weights are kept.
        metric: name of the metric that selects the best weights; higher is better.
        keep: called with the metrics when the metric is the best so far, to save the network.
        report: called after every update and every evaluation.
        evaluate_every: updates between evaluations.
        log_every: updates between lines of the log, each with the mean loss since the last.
        identity: settings that identify the run; a run with others cannot be resumed with them.
    """

    evaluate: Callable[[], dict[str, float]] | None
    metric: str
    keep: Callable[[dict[str, float]], None]
    report: Callable[[RunProgress], None] = silent
    evaluate_every: int = 500
    log_every: int = 10
    identity: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """Training of a network.

    Args:
        network: on its device, in fp32.
        batches: the training set.
        total_steps: number of updates.
        settings: see `TrainSettings`.
        hooks: see `Hooks`.
        folder: for state and log.
        dtype: of autocast; fp32 disables it.
        seconds: limit of the elapsed time; the learning rate then depends on time instead of steps.
        processes: of distributed training; see `core.training.distributed`.
    """

    def __init__(
        self,
        network: Network,
        batches: Dataset,
        total_steps: int,
        settings: TrainSettings,
        hooks: Hooks,
        folder: Path,
        dtype: torch.dtype,
        seconds: float | None = None,
        processes: Processes | None = None,
    ):
        self.network, self.batches, self.settings, self.hooks = network, batches, settings, hooks
        self.folder, self.dtype, self.seconds = folder, dtype, seconds
        self.device = next(network.parameters()).device
        self.processes = processes or Processes(self.device)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
        self.loss = self.processes.wrap(LossModule(network))
        if settings.compile:
            self.loss.compile()
        lr, head_lr = learning_rates(settings, network.backbone.hidden_size)
        groups = parameter_groups(network, lr, head_lr, settings.layer_decay, settings.weight_decay)
        self.optimizers = make_optimizers(network, groups, settings.optimizer)
        self.groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self.peaks = [group["lr"] for group in self.groups]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=dtype == torch.float16)
        self.average = EMA(network, settings.ema)
        self.progress = RunProgress(total_steps=total_steps)
        self.lines: list[bytes] = []
        self._since_log = [0.0, 0, 0, 0.0]  # sum of losses and updates since, tokens and seconds at the last log line

    def run(self, resume: bool = False) -> RunProgress:
        """Train to the end, with `resume` from the saved state if there is one.

        Raises:
            ModelError: the state is damaged or of another run, or the loss is not finite.
        """
        make_inside((self.folder / STATE).parent)
        if resume and (self.folder / STATE).exists():
            self._load()
        else:
            torch.manual_seed(self.settings.seed + self.processes.rank)
            self._save()  # replaces the state of an earlier run
        started, before = time.monotonic(), self.progress.elapsed
        saved = started
        progress = self.progress
        while progress.step < progress.total_steps and not self._out_of_time():
            self.network.train()
            progress.loss = self._update()
            progress.step += 1
            now = time.monotonic()
            progress.elapsed = before + now - started
            if self.seconds is not None:
                progress.elapsed = self.processes.broadcast(progress.elapsed)
            last = progress.step >= progress.total_steps or self._out_of_time()
            self._log_update(last)
            if last or (self.hooks.evaluate is not None and progress.step % self.hooks.evaluate_every == 0):
                self._evaluate()
            if last or now - saved >= self.settings.save_every:
                self._save()
                saved = time.monotonic()
        return progress

    def fraction_done(self) -> float:
        """Return the fraction of the run that is done, in [0, 1]."""
        by_steps = self.progress.step / max(1, self.progress.total_steps)
        return by_steps if self.seconds is None else min(1.0, max(by_steps, self.progress.elapsed / self.seconds))

    def _out_of_time(self) -> bool:
        return self.seconds is not None and self.progress.elapsed >= self.seconds

    def _update(self) -> float:
        """Update the weights once, from `accumulate` batches, and return the mean loss."""
        factor = lr_schedule(self.fraction_done(), self.settings.warmup, self.settings.decay)
        for group, peak in zip(self.groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.progress.lr = self.peaks[0] * factor
        total = 0.0
        for part in range(self.settings.accumulate):
            batch = self.progress.step * self.settings.accumulate + part
            inputs, targets = self.batches(batch * self.processes.world_size + self.processes.rank)
            inputs = inputs.to(self.device)
            targets = {name: value.to(self.device, non_blocking=True) for name, value in targets.items()}
            backward = self._backward
            if self.settings.fgm:
                backward = self._adversarial_backward
            elif self.settings.gradient_penalty:
                backward = self._penalized_backward
            with self.processes.sync_gradients(self.loss, enabled=part + 1 == self.settings.accumulate):
                total += backward(inputs, targets)
            self.progress.tokens += inputs.input_ids.numel() * self.processes.world_size
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
        self.average.update(self.progress.step)
        if not math.isfinite(total):
            raise ModelError(f"the loss is {total} at step {self.progress.step}; a smaller --lr may help")
        return total

    def _backward(self, inputs: Inputs, targets: dict[str, Tensor]) -> float:
        """Add the gradients of one batch, and return its part of the loss."""
        with self._precision():
            loss = self.loss(inputs, targets) / self.settings.accumulate
        torch.autograd.backward(self.scaler.scale(loss))
        return loss.item()  # type: ignore[no-any-return]

    def _adversarial_backward(self, inputs: Inputs, targets: dict[str, Tensor]) -> float:
        """Add the gradients of one batch, also with perturbed embeddings (FGM), and return its part of the loss."""
        weight = self.network.backbone.token_embeddings
        before = None if weight.grad is None else weight.grad.clone()  # of the earlier batches of this update
        loss = self._backward(inputs, targets)
        gradient = weight.grad if before is None or weight.grad is None else weight.grad - before
        with perturbed(weight, gradient, self.settings.fgm):
            self._backward(inputs, targets)
        return loss

    def _penalized_backward(self, inputs: Inputs, targets: dict[str, Tensor]) -> float:
        """Add the gradients of one batch and of its gradient penalty, and return its part of the loss."""
        weight = self.network.backbone.token_embeddings
        try:
            with recorded_embeddings(self.network, weight) as outputs, self._precision():
                loss = self.loss(inputs, targets) / self.settings.accumulate
                penalty = self.settings.gradient_penalty * gradient_penalty(loss, outputs)
            torch.autograd.backward(self.scaler.scale(loss + penalty))
        except RuntimeError as error:
            if "differentiate" not in str(error):
                raise
            raise UsageError(
                "--gradient-penalty: a part of this network has no second derivative; pass --fgm 0.5"
            ) from None
        return loss.item()  # type: ignore[no-any-return]

    def _precision(self) -> Any:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)

    def _evaluate(self) -> None:
        if not self.processes.is_main:
            return
        with self.average.swapped_in():
            self.network.eval()
            if self.hooks.evaluate is None:
                self.progress.best_step = self.progress.step
                self.hooks.keep({})
                return
            with self._precision():
                metrics = self.hooks.evaluate()
            value = metrics[self.hooks.metric]
            if value > self.progress.best:
                self.progress.best, self.progress.best_step = value, self.progress.step
                self.hooks.keep(metrics)
        self._log({"dev": metrics, "metric": self.hooks.metric})
        self.progress.metrics = metrics
        self.hooks.report(self.progress)
        self.progress.metrics = {}

    def _log_update(self, last: bool) -> None:
        """Report every update, and log the mean loss every `log_every` updates."""
        if not self.processes.is_main:
            return
        progress = self.progress
        self.hooks.report(progress)
        since = self._since_log
        since[0] += progress.loss
        since[1] += 1
        if last or progress.step % self.hooks.log_every == 0:
            speed = (progress.tokens - since[2]) / max(1e-9, progress.elapsed - since[3])
            self._log({"loss": round(since[0] / since[1], 5), "lr": progress.lr, "tokens_per_second": round(speed)})
            self._since_log = [0.0, 0, progress.tokens, progress.elapsed]

    def _log(self, values: dict[str, Any]) -> None:
        line = {
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "elapsed": round(self.progress.elapsed, 1),
            **values,
        }
        self.lines.append(orjson.dumps(line) + b"\n")
        with open_inside(self.folder / LOG, "wb" if len(self.lines) == 1 else "ab") as stream:
            stream.write(self.lines[-1])

    def _save(self) -> None:
        if not self.processes.is_main:
            return
        names = {id(parameter): name for name, parameter in self.network.named_parameters()}
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.averages.items()}
        for parameter, moments in self._moments():
            tensors |= {f"moments.{names[id(parameter)]}.{key}": value for key, value in moments.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.device)
        state = {
            "progress": asdict(self.progress) | {"best": repr(self.progress.best), "loss": repr(self.progress.loss)},
            "identity": self._identity(),
            "scaler": self.scaler.state_dict(),
            "since_log": self._since_log,
            "lines": len(self.lines),
        }
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        save_tensors(tensors, self.folder / STATE, {"state": json.dumps(state)})

    def _load(self) -> None:
        path = self.folder / STATE
        tensors = read_tensors(path)
        try:
            with safe_open(path, "pt") as stream:
                state = json.loads(stream.metadata()["state"])
            self._restore(path, tensors, state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            raise ModelError(f"{path}: broken ({reason(error)}); leave out --resume to start again") from None

    def _restore(self, path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        current, saved = self._identity(), current_names(state["identity"])
        changed = sorted(name for name in current.keys() | saved.keys() if current.get(name) != saved.get(name))
        if changed:
            names = ", ".join(changed)
            raise ModelError(f"{path}: from a run that differs in {names}; give its options, or leave out --resume")
        try:
            self.network.load_state_dict(_under("network.", tensors))
        except RuntimeError:
            raise ModelError(f"{path}: from a run of another network; leave out --resume to start again") from None
        self.average.load(_under("average.", tensors))
        owner = {p: o for o in self.optimizers for group in o.param_groups for p in group["params"]}
        for name, parameter in self.network.named_parameters():
            moments = _under(f"moments.{name}.", tensors)
            if moments:
                owner[parameter].state[parameter] = {
                    # The step count of AdamW is on the device only if it is fused.
                    key: value if key == "step" and self.device.type == "mps" else value.to(self.device)
                    for key, value in moments.items()
                }
        if self.processes.is_main:
            torch.set_rng_state(tensors["random.cpu"])
            if "random.cuda" in tensors and self.device.type == "cuda":
                torch.cuda.set_rng_state(tensors["random.cuda"], self.device)
        else:  # only the generator of the main process is saved
            torch.manual_seed(hash((self.settings.seed, self.processes.rank, state["progress"]["step"])))
        progress = current_names(state["progress"])
        progress |= {"best": float(progress["best"]), "loss": float(progress["loss"])}
        self.progress = RunProgress(**progress | {"total_steps": self.progress.total_steps})
        self.scaler.load_state_dict(state["scaler"])
        self._since_log = state["since_log"]
        if not state["lines"]:
            return
        log = self.folder / LOG
        try:
            self.lines = reader(log.parent).read(log.name).splitlines(keepends=True)[: state["lines"]]
        except FileNotFoundError:
            raise ModelError(f"{log}: no such file; leave out --resume to start again") from None
        with open_inside(self.folder / LOG, "wb") as stream:
            stream.write(b"".join(self.lines))

    def _identity(self) -> dict[str, Any]:
        """Return the settings except `save_every`, and the caller's identity, as JSON values."""
        settings = {name: value for name, value in asdict(self.settings).items() if name != "save_every"}
        identity = {name: value for name, value in self.hooks.identity.items() if name != "settings"}
        both: dict[str, Any] = json.loads(json.dumps({**identity, **settings, "processes": self.processes.world_size}))
        return both

    def _moments(self) -> list[tuple[Any, dict[str, Tensor]]]:
        """Return (parameter, its moments) of all optimizers."""
        return [item for optimizer in self.optimizers for item in optimizer.state.items()]


def lr_schedule(fraction: float, warmup: float, decay: float) -> float:
    """Return the factor of the peak learning rate: linear warmup, constant, and linear decay to 0.

    Args:
        fraction: of the run that is done.
        warmup: fraction of the run over which the rate rises.
        decay: fraction of the run, at its end, over which the rate falls.
    """
    return min(1.0, (fraction + 1e-6) / max(warmup, 1e-6), (1 - fraction) / max(decay, 1e-6))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
