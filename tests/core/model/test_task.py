"""What every task has: batches that move between devices, changed settings, and no check unless it has one."""

from dataclasses import dataclass

import pytest
import torch
from toy_task import LabelNetwork, LabelSettings, LabelTask

from nlpkit.nn.backbones import build
from nlpkit.nn.layers.prepack import PrepackedLinear
from nlpkit.nn.network import Inputs, Network

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}


@pytest.mark.parametrize("optional", [True, False])
def test_all_tensors_of_a_batch_go_to_the_device(optional):
    ids = torch.zeros(2, 3, dtype=torch.long)
    inputs = Inputs(ids, ids > 0, ids if optional else None, ids if optional else None)
    moved = inputs.to(torch.device("meta"))
    for name in ("input_ids", "attention_mask", "token_type_ids", "position_ids"):
        before, after = getattr(inputs, name), getattr(moved, name)
        assert (after is None) == (before is None)
        assert after is None or (after.device.type == "meta" and after.shape == before.shape)


@dataclass(frozen=True)
class _Options:
    colour: str


class Coloured(LabelTask):
    """A task with an option that is not one of its settings."""

    def __init__(self, settings, options=None):
        super().__init__(settings)
        self.options = options

    def with_settings(self, settings):
        return Coloured(settings, self.options)


def test_changed_settings_leave_the_task_and_its_options_as_they_were():
    task = Coloured(LabelSettings(("a", "b")), _Options("red"))
    changed = task.changed(threshold=0.75)
    assert (task.settings.threshold, changed.settings) == (0.5, LabelSettings(("a", "b"), 0.75))
    assert (type(changed), changed.options) == (Coloured, _Options("red"))
    with pytest.raises(TypeError, match="thresold"):
        task.changed(thresold=0.75)


def test_any_example_is_valid_unless_the_task_says_otherwise():
    assert LabelTask(LabelSettings(("a",))).validate(object()) is None


def test_a_network_for_inference_has_a_repacked_backbone_and_the_same_outputs():
    torch.manual_seed(0)
    network = LabelNetwork(build({"type": "roformer_v2", **SIZES}), 2).eval()
    ids = torch.randint(5, 30, (2, 6))
    inputs = Inputs(ids, torch.arange(6) < torch.tensor([[6], [3]]))
    network.calibrate_statistics(None)  # has none
    with torch.inference_mode():
        before = network(inputs)
        network.prepare_for_inference()
        torch.testing.assert_close(network(inputs), before, atol=1e-5, rtol=1e-4)
    packed = [name for name, module in network.named_modules() if isinstance(module, PrepackedLinear)]
    assert all(name.startswith("backbone.") for name in packed)
    assert isinstance(network.head, torch.nn.Linear)


def test_a_network_has_no_loss_of_its_own():
    with pytest.raises(NotImplementedError):
        Network().loss(None, {})


def test_training_starts_from_the_backbone_as_it_is_unless_the_task_says_otherwise():
    backbone, tokenizer = object(), object()
    assert LabelTask(LabelSettings(("a",))).adapt(backbone, tokenizer, []) == (backbone, tokenizer)
