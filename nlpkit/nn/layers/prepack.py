"""Linear layers with weights in oneDNN's own memory layout, for inference on x86 CPUs that can prepack them.

oneDNN computes the same products as `F.linear` and applies the activation while the result is still in the cache.
Which precisions a CPU can prepack depends on its instructions and on the torch build, so `can_prepack` asks oneDNN.
"""

import platform
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[str, str]]] = {
    # name in a Hugging Face config.json: function, and its name and variant in oneDNN
    "relu": (F.relu, ("relu", "")),
    "gelu": (F.gelu, ("gelu", "none")),
    "gelu_new": (partial(F.gelu, approximate="tanh"), ("gelu", "tanh")),
    "silu": (F.silu, ("swish", "")),
    "swish": (F.silu, ("swish", "")),
}


class ActivatedLinear(nn.Linear):
    """A linear layer followed by an activation function: activation(Wx + b).

    Args:
        inputs: size of x.
        outputs: size of the result.
        activation: one of `nn.configs.ACTIVATIONS`.
        bias: whether to add b.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, bias: bool = True):
        super().__init__(inputs, outputs, bias)
        self.activation: str = activation

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Return [..., outputs] for [..., inputs]."""
        return FUNCTIONS[self.activation][0](super().forward(input))


class PrepackedLinear(nn.Module):
    """A linear layer with prepacked weights, for inference on a CPU in the precision that it was prepacked in.

    Args:
        linear: on the CPU, in fp32 or bf16.

    Attributes:
        size: number of weights and biases.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = _prepacked(linear.weight.detach())
        self.size = sum(parameter.numel() for parameter in linear.parameters())
        self.bias = None if linear.bias is None else linear.bias.detach()
        activated = isinstance(linear, ActivatedLinear)
        self.kind, self.detail = FUNCTIONS[str(linear.activation)][1] if activated else ("none", "")

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Return [..., outputs] for [..., inputs]."""
        return _product(input, self.weight, self.bias, self.kind, self.detail)


def prepack(module: nn.Module) -> None:
    """Prepack the linear layers of a network for inference in place, where `can_prepack` their precision."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, prepacked(child))
        else:
            prepack(child)


def prepacked(linear: nn.Linear) -> nn.Module:
    """Return the layer prepacked if this CPU can do so in its precision, otherwise the layer itself."""
    weight = linear.weight
    return PrepackedLinear(linear) if weight.device.type == "cpu" and can_prepack(weight.dtype) else linear


@cache
def can_prepack(dtype: torch.dtype) -> bool:
    """Return whether oneDNN can prepack and multiply linear layers of a precision on this CPU.

    The answer comes from a product of a tiny layer: CPU flags would have to be kept in step with oneDNN. For example,
    bf16 needs AVX512-BW or AVX-NE-CONVERT, which CPUs with plain AVX2 lack.
    """
    if platform.machine() not in ("x86_64", "AMD64") or dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        x = torch.zeros(16, 16, dtype=dtype)
        _product(x, _prepacked(x), None, "none", "")
    except (RuntimeError, AttributeError):  # the CPU lacks the instructions, or the torch build the operators
        return False
    return True


def _prepacked(weight: Tensor) -> Tensor:
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return result


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str, approximation: str) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], approximation)
    return result


def count_parameters(network: nn.Module) -> int:
    """Return the number of weights, including those of prepacked layers, which are not parameters."""
    prepacked = sum(module.size for module in network.modules() if isinstance(module, PrepackedLinear))
    return prepacked + sum(parameter.numel() for parameter in network.parameters())
