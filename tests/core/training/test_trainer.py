"""The training loop: the same end however it was interrupted, and what each setting does."""

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import toy_records, vocabulary

from nlpkit.core.io.records import Line
from nlpkit.core.model.dataset import WindowDataset
from nlpkit.core.text.padding import pad_windows
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.training.settings import TrainSettings
from nlpkit.core.training.trainer import LOG, STATE, Hooks, Trainer, lr_schedule
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask

RECORDS = toy_records(48)
TOKENIZER = CharTokenizer(vocabulary("".join(record["text"] for record in RECORDS)))
TASK = NerTask(NerSettings(("company", "name"), head_size=16))
EXAMPLES = [
    Example(r["text"], tuple(Entity(e["start"], e["end"], e["label"]) for e in r["entities"]), Line(r["text"], "-", 1))
    for r in RECORDS
]
SETTINGS = TrainSettings(epochs=1, batch_size=8, lr=1e-3, dropout=0.1, save_every=0)
STEPS = 12


class Killed(BaseException):
    """In place of a signal."""


def fresh_network(seed=1, layers=2, dropout=0.1, kind="roformer_v2"):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "num_layers": layers, "num_heads": 2, "intermediate_size": 32}
    network = TASK.network(build({"type": kind, "vocab_size": TOKENIZER.vocab_size, **sizes}))
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return network


def batches():
    return WindowDataset(TASK, EXAMPLES, TOKENIZER, 128, batch_size=8, seed=5)


def trainer(folder, settings=SETTINGS, *, network=None, kill_at=None, scores=None, steps=STEPS, source=None, **hooks):
    """A trainer whose dev metric is the score of its step, or the step itself; `kept` collects the best weights."""
    network = network or fresh_network()
    kept = []

    def evaluate():
        step = made.progress.step
        return {"f1": scores[step] if scores else float(step)}

    def report(progress):
        if progress.step == kill_at and not progress.metrics:
            raise Killed

    def keep(metrics):
        kept.append(weights(network))

    hooks = Hooks(evaluate, "f1", keep, report, **hooks)
    made = Trainer(network, source or batches(), steps, settings, hooks, folder, torch.float32)
    made.kept = kept
    return made


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def untimed(lines):
    return [{key: line[key] for key in line if key not in ("elapsed", "tokens_per_second")} for line in lines]


def log_of(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


@pytest.mark.parametrize("kills", [[5], [2], [3, 11], [12]])
@pytest.mark.parametrize(
    "extra",
    [{}, {"ema": 0.9, "accumulate": 2, "layer_decay": 0.8, "fgm": 0.5}, {"optimizer": "muon"}],
    ids=["plain", "all", "muon"],
)
def test_a_killed_run_that_is_resumed_ends_with_the_same_bits(tmp_path, kills, extra):
    settings = replace(SETTINGS, **extra)
    unbroken = trainer(tmp_path / "unbroken", settings, evaluate_every=4)
    unbroken.run()
    folder = tmp_path / "killed"
    for number, kill_at in enumerate(kills):
        network = fresh_network(seed=1 + number)  # the first as in the unbroken run
        with pytest.raises(Killed):
            trainer(folder, settings, network=network, kill_at=kill_at, evaluate_every=4).run(resume=True)
        torch.rand(17)  # another process has another random state
    resumed = trainer(folder, settings, network=fresh_network(seed=99), evaluate_every=4)
    assert resumed.run(resume=True) == replace(unbroken.progress, elapsed=resumed.progress.elapsed)
    assert equal(weights(unbroken.network), weights(resumed.network))
    assert equal(unbroken.average.averages, resumed.average.averages)
    assert equal(unbroken.kept[-1], resumed.kept[-1])
    assert untimed(log_of(tmp_path / "unbroken")) == untimed(log_of(folder))


def test_a_state_with_old_names_of_fields_is_resumed(tmp_path):
    with pytest.raises(Killed):
        trainer(tmp_path, SETTINGS, kill_at=5, evaluate_every=4).run()
    path = tmp_path / STATE
    with safe_open(path, "pt") as stream:
        state = stream.metadata()["state"]
    save_file(load_file(path), path, {"state": state.replace('"tokens"', '"units"')})
    resumed = trainer(tmp_path, SETTINGS, evaluate_every=4)
    before = json.loads(state)["progress"]
    assert before["tokens"] > 0
    progress = resumed.run(resume=True)
    assert progress.step == STEPS
    assert progress.tokens > before["tokens"]


def test_a_run_killed_before_its_first_state_starts_again(tmp_path):
    with pytest.raises(Killed):
        trainer(tmp_path / "killed", kill_at=1).run(resume=True)
    resumed, unbroken = trainer(tmp_path / "killed"), trainer(tmp_path / "unbroken")
    resumed.run(resume=True)
    unbroken.run()
    assert equal(weights(unbroken.network), weights(resumed.network))


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path):
    ends = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run = trainer(tmp_path / name, replace(SETTINGS, seed=seed))
        run.run()
        ends.append(weights(run.network))
    assert equal(ends[0], ends[1])
    assert not equal(ends[0], ends[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 1e-4}, "from a run that differs in lr; give its options, or leave out --resume"),
        ({"seed": 1, "clip": 2.0}, "differs in clip, seed;"),
    ],
)
def test_resuming_another_run_is_an_error(tmp_path, change, message):
    trainer(tmp_path, steps=2).run()
    with pytest.raises(ModelError, match=message):
        trainer(tmp_path, replace(SETTINGS, **change)).run(resume=True)


def test_resuming_another_network_or_a_broken_state_is_an_error(tmp_path):
    trainer(tmp_path, steps=2).run()
    with pytest.raises(ModelError, match="of another network; leave out --resume"):
        trainer(tmp_path, network=fresh_network(layers=1)).run(resume=True)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:999])
    with pytest.raises(ModelError, match="truncated or not safetensors"):
        trainer(tmp_path).run(resume=True)


def test_without_resume_a_state_is_not_read(tmp_path):
    trainer(tmp_path / "a").run()
    again = trainer(tmp_path / "a")
    again.run()
    once = trainer(tmp_path / "b")
    once.run()
    assert equal(weights(again.network), weights(once.network))
    assert len(log_of(tmp_path / "a")) == len(log_of(tmp_path / "b"))


def test_accumulated_batches_are_one_larger_batch(tmp_path):
    """The mean of the mean losses of two batches of 8 is that of a batch of 16, as every row has every label."""
    small = batches()
    small(0)  # puts the first epoch in order

    def joined(step):
        rows = [small.windows[i] for part in (2 * step, 2 * step + 1) for i in small._order[part]]
        inputs = Inputs.of(*pad_windows([(encoding, window) for encoding, window, _ in rows], TOKENIZER))
        targets = TASK.collate([target for *_, target in rows], inputs.input_ids.shape[1])
        return inputs, {name: torch.from_numpy(values) for name, values in targets.items()}

    ends = []
    for accumulate, source in ((2, small), (1, joined)):
        settings = replace(SETTINGS, accumulate=accumulate, dropout=0.0)
        run = trainer(tmp_path, settings, network=fresh_network(dropout=0), steps=3, source=source)
        run.run()
        ends.append(weights(run.network))
    assert not equal(ends[0], weights(fresh_network(dropout=0)))
    assert all(torch.allclose(value, ends[1][name], atol=2e-5) for name, value in ends[0].items())


def test_fgm_reads_every_batch_again_with_other_embeddings_and_puts_them_back(tmp_path, monkeypatch):
    network, seen = fresh_network(dropout=0), []
    usual = network.loss

    def loss(*batch):
        weight, value = network.backbone.embeddings.weight, usual(*batch)
        (gradient,) = torch.autograd.grad(value, weight, retain_graph=True)
        seen.append((weight.detach().clone(), value, gradient))
        return value

    monkeypatch.setattr(network, "loss", loss)
    trainer(tmp_path, replace(SETTINGS, fgm=0.5, dropout=0.0, accumulate=2), network=network, steps=1).run()
    assert len(seen) == 4
    for (there, easy, gradient), (moved, hard, _) in zip(seen[::2], seen[1::2], strict=True):
        assert torch.allclose(moved - there, 0.5 * gradient / gradient.norm(), atol=1e-5)  # of this batch alone
        assert hard > easy
    assert torch.equal(seen[0][0], seen[2][0])


def penalized_gradients(network, source, weight, batches):
    """The gradients of Σ loss + weight · ½‖∂loss/∂δ‖² with δ = 0 added to the embeddings of the tokens of a batch."""
    for step in range(batches):
        added = []

        def add(module, inputs, output, added=added):
            added.append(torch.zeros_like(output, requires_grad=True))
            return output + added[0]

        hook = network.backbone.embeddings.register_forward_hook(add)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            loss = network.loss(*source(step)) / batches
        (gradient,) = torch.autograd.grad(loss, added, create_graph=True)
        (loss + weight * gradient.square().sum() / 2).backward()
        hook.remove()
    gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    return gradients


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_gradient_penalty_is_that_of_a_double_backward(tmp_path, monkeypatch, accumulate):
    gradients, step = {}, torch.optim.AdamW.step

    def spy(optimizer, *args, **options):
        gradients.update({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
        return step(optimizer, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    network = fresh_network(dropout=0, kind="bert")
    settings = replace(SETTINGS, gradient_penalty=3.0, dropout=0.0, clip=0.0, accumulate=accumulate)
    trainer(tmp_path, settings, network=network, steps=1).run()
    fresh = fresh_network(dropout=0, kind="bert")
    expected, plain = (penalized_gradients(fresh, batches(), weight, accumulate) for weight in (3.0, 0.0))
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6)
    assert not torch.allclose(gradients["head.dense.weight"], plain["head.dense.weight"], rtol=0.01)


def test_the_reported_loss_is_without_the_penalty(tmp_path):
    losses = []
    for weight in (0.0, 5.0):
        settings = replace(SETTINGS, gradient_penalty=weight, dropout=0.0)
        run = trainer(tmp_path / str(weight), settings, network=fresh_network(dropout=0, kind="bert"), steps=1)
        losses.append(run.run().loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_backbone_without_a_second_derivative_has_no_gradient_penalty(tmp_path):
    message = r"^--gradient-penalty: a part of this network has no second derivative; pass --fgm 0\.5$"
    with pytest.raises(UsageError, match=message):
        trainer(tmp_path, replace(SETTINGS, gradient_penalty=1.0), steps=1).run()


def test_other_errors_of_the_network_are_not_hidden(tmp_path, monkeypatch):
    network = fresh_network(kind="bert")
    monkeypatch.setattr(network, "loss", lambda *batch: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        trainer(tmp_path, replace(SETTINGS, gradient_penalty=1.0), network=network, steps=1).run()


def test_the_best_weights_are_kept(tmp_path):
    run = trainer(tmp_path, scores={3: 0.1, 6: 0.7, 9: 0.7, 12: 0.2}, evaluate_every=3)
    progress = run.run()
    assert (progress.best, progress.best_step, len(run.kept)) == (0.7, 6, 2)
    assert not equal(run.kept[-1], weights(run.network))
    assert [line["dev"]["f1"] for line in log_of(tmp_path) if "dev" in line] == [0.1, 0.7, 0.7, 0.2]


def test_averaged_weights_are_evaluated_and_kept(tmp_path):
    """A young average decays by (1 + t)/(10 + t), and by the setting from then on."""
    network, seen = fresh_network(), []
    run = trainer(tmp_path, replace(SETTINGS, ema=0.3), network=network, evaluate_every=1000, steps=6)
    start = weights(network)
    run.hooks.report = lambda progress: seen.append(weights(network)) if not progress.metrics else None
    run.run()
    expected = start
    for step, current in enumerate(seen):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = {name: decay * expected[name] + (1 - decay) * current[name] for name in current}
    assert all(torch.allclose(expected[name], value, atol=1e-6) for name, value in run.kept[0].items())
    assert equal(weights(network), seen[-1])


@pytest.mark.parametrize(
    ("fraction", "warmup", "decay", "expected"),
    [
        (0.0, 0.1, 0.9, 0.0),
        (0.05, 0.1, 0.9, 0.5),
        (0.1, 0.1, 0.9, 1.0),
        (0.55, 0.1, 0.9, 0.5),
        (1.0, 0.1, 0.9, 0.0),
        (0.5, 0.1, 0.2, 1.0),
        (0.9, 0.1, 0.2, 0.5),
        (0.0, 0.0, 1.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
    ],
)
def test_the_rate_rises_and_falls(fraction, warmup, decay, expected):
    assert lr_schedule(fraction, warmup, decay) == pytest.approx(expected, abs=1e-4)


def test_the_norm_of_the_gradient_is_clipped(tmp_path, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def spy(optimizer, *args, **options):
        parts = [p.grad.norm() for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms.append(torch.stack(parts).norm().item())
        return step(optimizer, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    trainer(tmp_path, replace(SETTINGS, clip=0.01), steps=3).run()
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    network = fresh_network()
    with torch.no_grad():
        network.head.dense.bias.fill_(math.nan)
    with pytest.raises(ModelError, match="the loss is nan at step 0; a smaller --lr may help"):
        trainer(tmp_path, network=network).run()


def test_no_limit_on_the_gradient(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *args: pytest.fail("clipped"))
    before = weights(fresh_network())
    run = trainer(tmp_path, replace(SETTINGS, clip=0.0), steps=2)
    run.run()
    assert not equal(before, weights(run.network))


def test_a_run_without_its_log_is_not_resumed(tmp_path):
    trainer(tmp_path, steps=2).run()
    (tmp_path / LOG).unlink()
    with pytest.raises(ModelError, match=r"log\.jsonl: no such file; leave out --resume to start again"):
        trainer(tmp_path, steps=2).run(resume=True)


def test_a_run_of_another_identity_is_not_resumed(tmp_path):
    with pytest.raises(Killed):
        trainer(tmp_path, kill_at=4, identity={"data": ["a.jsonl"]}).run()
    with pytest.raises(ModelError, match="differs in data; give its options, or leave out --resume"):
        trainer(tmp_path, identity={"data": ["b.jsonl"]}).run(resume=True)


def test_a_fresh_run_replaces_the_state_of_an_older_one_at_once(tmp_path):
    with pytest.raises(Killed):
        trainer(tmp_path, kill_at=6).run()
    with pytest.raises(Killed):
        trainer(tmp_path, replace(SETTINGS, save_every=999), kill_at=2).run()
    again = trainer(tmp_path)
    again.run(resume=True)
    whole = trainer(tmp_path / "whole")
    whole.run()
    assert equal(weights(again.network), weights(whole.network))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu(tmp_path, dtype):
    """Every precision learns, and a resumed run goes on where it was."""

    def run(folder, kill_at=None, resume=False):
        made = trainer(folder, network=fresh_network().cuda(), kill_at=kill_at)
        made.dtype, made.scaler = dtype, torch.amp.GradScaler("cuda", enabled=dtype == torch.float16)
        return made.run(resume).loss

    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "broken", kill_at=5)
    assert run(tmp_path / "broken", resume=True) == pytest.approx(whole, rel=0.05)
    assert math.isfinite(whole)
