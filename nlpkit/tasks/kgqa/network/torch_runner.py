"""The network of kgqa in torch, called with arrays of numpy; see `network.runner.KgqaRunner`."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.network import TorchRunner
from nlpkit.tasks.kgqa.network.model import KgqaNetwork
from nlpkit.tasks.kgqa.network.runner import Floats, Ints, Tokens


class TorchKgqaRunner(TorchRunner):
    """A network on its device."""

    network: KgqaNetwork

    def new_cache(self) -> KeyValueCache:
        """Return an empty cache."""
        return KeyValueCache()

    @torch.inference_mode()
    def encode(self, tokens: Tokens, query_indices: Ints, cache: KeyValueCache) -> Floats:
        """Return the last hidden states [k, d] of some of the new tokens, and add the tokens to the cache."""
        self.network.eval()
        states = self.network.forward_with_cache(tokens.map(self._tensor), self._tensor(query_indices), cache)
        return _array(states)

    @torch.inference_mode()
    def generate(self, states: Floats) -> Floats:
        """Return the logits [n, V] of the next token for each hidden state [n, d]."""
        return _array(self.network.generate(self._tensor(states)))

    @torch.inference_mode()
    def border_scores(self, states: Floats) -> Floats:
        """Return the scores [n, 2] of the borders of the subject's name for hidden states [n, d]."""
        return _array(self.network.borders(self._tensor(states)))

    @torch.inference_mode()
    def rank(self, states: Floats, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key, as `KgqaNetwork.rank` does."""
        self.network.eval()
        return _array(self.network.rank(*map(self._tensor, (states, features, borders))))

    @torch.inference_mode()
    def rank_without_states(self, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key without its deep part."""
        return _array(self.network.rank_without_states(*map(self._tensor, (features, borders))))

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _array(tensor: Tensor) -> Floats:
    result: Floats = tensor.float().cpu().numpy()
    return result
