"""Published backbones as loops over one sequence, and random weights under their published names."""

import math

import torch

from nlpkit.nn.configs import GauAlphaConfig, RoFormerV2Config

TINY = {"vocab_size": 30, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32, "dropout": 0.0}


def norm(x: torch.Tensor) -> torch.Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-12).sqrt()


def turn(x: torch.Tensor) -> torch.Tensor:
    """RoPE on interleaved pairs, pair by pair."""
    result = torch.empty_like(x)
    for position in range(x.shape[0]):
        for i in range(0, x.shape[1], 2):
            angle = position * 10000.0 ** (-i / x.shape[1])
            a, b = x[position, i], x[position, i + 1]
            result[position, i] = a * math.cos(angle) - b * math.sin(angle)
            result[position, i + 1] = b * math.cos(angle) + a * math.sin(angle)
    return result


def published_weights(config: RoFormerV2Config) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    d, wide = config.hidden_size, config.intermediate_size
    torch.manual_seed(3)
    weights = {
        "roformer.embeddings.word_embeddings.weight": torch.randn(config.vocab_size, d),
        "roformer.embeddings.token_type_embeddings.weight": torch.randn(2, d),
        "cls.predictions.bias": torch.randn(config.vocab_size),
    }
    for layer in range(config.num_layers):
        stem = f"roformer.encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            weights[f"{stem}{name}.weight"] = torch.randn(d, d) / d**0.5
        weights[f"{stem}intermediate.dense.weight"] = torch.randn(wide, d) / d**0.5
        weights[f"{stem}output.dense.weight"] = torch.randn(d, wide) / wide**0.5
    return weights


def reference(weights: dict[str, torch.Tensor], config: RoFormerV2Config, ids: list[int]) -> torch.Tensor:
    """RoFormerV2 of one unpadded row, head by head."""
    x = weights["roformer.embeddings.word_embeddings.weight"][ids]
    x = norm(x + weights["roformer.embeddings.token_type_embeddings.weight"][0])
    size = config.hidden_size // config.num_heads
    for layer in range(config.num_layers):
        stem = f"roformer.encoder.layer.{layer}."
        query, key, value = (x @ weights[f"{stem}attention.self.{n}.weight"].T for n in ("query", "key", "value"))
        heads = []
        for head in range(config.num_heads):
            part = slice(head * size, (head + 1) * size)
            scores = turn(query[:, part]) @ turn(key[:, part]).T / size**0.5
            heads.append(scores.softmax(-1) @ value[:, part])
        x = norm(x + torch.cat(heads, -1) @ weights[f"{stem}attention.output.dense.weight"].T)
        inner = (x @ weights[f"{stem}intermediate.dense.weight"].T).relu()
        x = norm(x + inner @ weights[f"{stem}output.dense.weight"].T)
    return x


def gau_weights(config: GauAlphaConfig) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    d, e, size = config.hidden_size, config.intermediate_size, config.key_size
    torch.manual_seed(4)
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(config.vocab_size, d),
        "embeddings.token_type_embeddings.weight": torch.randn(2, d),
    }
    for layer in range(config.num_layers):
        stem = f"encoder.layer.{layer}.gau."
        weights[f"{stem}i_dense.weight"] = torch.randn(2 * e + size, d) / d**0.5
        weights[f"{stem}o_dense.weight"] = torch.randn(d, e) / e**0.5
        weights[f"{stem}q_scaleoffset.weight"] = torch.randn(size)
        weights[f"{stem}k_scaleoffset.weight"] = torch.randn(size)
    return weights


def gau_reference(weights: dict[str, torch.Tensor], config: GauAlphaConfig, ids: list[int]) -> torch.Tensor:
    """GAU-α of one unpadded row, from the publication."""
    x = norm(weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.token_type_embeddings.weight"][0])
    e, size = config.intermediate_size, config.key_size
    for layer in range(config.num_layers):
        stem = f"encoder.layer.{layer}.gau."
        projected = x @ weights[f"{stem}i_dense.weight"].T
        u, v, z = (projected * projected.sigmoid()).split([e, e, size], dim=-1)
        query = turn(z * weights[f"{stem}q_scaleoffset.weight"])
        key = turn(z * weights[f"{stem}k_scaleoffset.weight"])
        scores = query @ key.T / size**0.5 * math.log(max(len(ids), 16)) / math.log(512)
        x = norm(x + (u * (scores.softmax(-1) @ v)) @ weights[f"{stem}o_dense.weight"].T)
    return x
