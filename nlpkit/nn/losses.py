"""Loss functions without parameters."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nlpkit.nn.factors import Factors

_BLOCK = 256  # rows of logits in memory at a time


def sparse_multilabel_loss(logits: Tensor, positives: Tensor) -> Tensor:
    """Return the multi-label cross-entropy with the threshold at 0, from sparse labels (kexue.fm 7359, 8373).

    It is log(1 + Σ_negative eˢ) + log(1 + Σ_positive e⁻ˢ), averaged over the rows of logits. The published sparse form
    subtracts two nearly equal numbers, which loses precision in fp32. Here the positives are removed from a copy before
    the sum, so the value is exact, never negative, and independent of repeated indices. Sums are computed in fp32
    whatever the dtype of the logits.

    Where only a set of alternatives is known, of which at least one is positive, s of the positive is log Σ eˢ over the
    alternatives: multiple-instance learning, in which the model learns which one it is. None of them is a negative.

    Args:
        logits: [..., k], where masked classes have a large negative number (not −inf).
        positives: [..., p] indices into k, padded with −1, or [..., p, a] with up to a different alternatives each; p
            may be 0.

    Returns:
        A scalar in fp32.

    Example:
        logits [1, −2, 3] with positives [2] give log(1 + e¹ + e⁻²) + log(1 + e⁻³) = 1.3488 + 0.0486. With positives
        [[0, 2]], class 0 or 2, they give log(1 + e⁻²) + log(1 + 1 / (e¹ + e³)) = 0.1269 + 0.0429.
    """
    lowest = torch.tensor(torch.finfo(torch.float32).min, device=logits.device)
    if positives.dim() == logits.dim():
        positives = positives.unsqueeze(-1)
    logits, positives = logits.float().flatten(0, -2), positives.flatten(0, -3)  # [r, k], [r, p, a]
    used, indices = positives >= 0, positives.flatten(1)
    rows, slots = (indices >= 0).nonzero(as_tuple=True)
    negatives = logits.index_put((rows, indices[rows, slots]), lowest)
    # log(1 + Σ eˢ) = softplus(logsumexp(s)); a finite `lowest` keeps the gradient of an empty row at 0 instead of NaN.
    loss = F.softplus(negatives.logsumexp(-1))
    if indices.shape[-1]:
        scores = logits.gather(-1, indices.clamp(min=0)).view_as(positives)
        scores = torch.where(used, scores, lowest).logsumexp(-1)  # [r, p]
        repeated = (positives[:, :, None] == positives[:, None]).all(-1).tril(-1).any(-1)
        loss = loss + F.softplus(torch.where(used.any(-1) & ~repeated, -scores, lowest).logsumexp(-1))
    return loss.mean()


def factored_multilabel_loss(factors: Factors[Tensor], positives: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Return `sparse_multilabel_loss` of factored logits without computing the [b, c, s, s] tensor.

    If there are many labels, nearly all pairs of a sequence and a label have no positive. For these only the sum over
    all spans is needed, which is a matrix product: Σ_ij e^(pairs_ij + starts_i + ends_j) =
    Σ_i e^starts_i · (e^pairs · e^ends)_i. It is computed in fp64 (fp32 on devices without), with the maximum of each
    term subtracted, so it neither overflows nor loses small terms. For pairs with positives the logits are computed and
    passed to `sparse_multilabel_loss`.

    Args:
        factors: the logits.
        positives: [b, c, p] flat spans i·s + j, padded with −1 at the end, or [b, c, p, a] with alternatives.
        annotated: [b, c], False where a sequence is not annotated with a label: no loss there; None if all are.

    Returns:
        A scalar: the mean over b·c.
    """
    pairs, starts, ends = factors
    total = _log_sum(pairs, starts, ends)  # [b, c]
    if annotated is None:
        annotated = torch.ones_like(total, dtype=torch.bool)
    with_spans = (positives >= 0).flatten(2).any(-1) & annotated
    empty = F.softplus(total[annotated & ~with_spans]).sum()
    sequence, label = with_spans.nonzero(as_tuple=True)
    if not len(sequence):
        return empty / with_spans.numel()
    logits = pairs[sequence] + starts[sequence, :, label][:, :, None] + ends[sequence, :, label][:, None, :]
    dense = sparse_multilabel_loss(logits.flatten(1), positives[sequence, label])
    return (empty + dense * len(sequence)) / with_spans.numel()


def _log_sum(pairs: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """Return the logarithm of Σ_ij e^(pairs_ij + starts_i + ends_j) as [b, c] in fp32."""
    dtype = torch.float32 if pairs.device.type == "mps" else torch.float64
    terms = [term.to(dtype) for term in (pairs, starts, ends)]
    maxima = [terms[0].amax((1, 2), keepdim=True), *(term.amax(1, keepdim=True) for term in terms[1:])]
    maxima = [maximum.detach() for maximum in maxima]
    pair, start, end = ((term - maximum).exp() for term, maximum in zip(terms, maxima, strict=True))
    total = (start * (pair @ end)).sum(1).clamp(min=torch.finfo(dtype).tiny).log()  # [b, c]
    return (total + maxima[0][:, :, 0] + maxima[1][:, 0] + maxima[2][:, 0]).float()


def simcse_loss(
    vectors: Tensor, scale: float = 20.0, sentence_ids: Tensor | None = None, anchors: Tensor | None = None
) -> Tensor:
    """Return the in-batch contrastive loss of SimCSE (kexue.fm 8348, arXiv 2104.08821).

    Vectors 2i and 2i+1 are a positive pair: a sentence under two dropout masks, or two wordings. A vector's loss is
    −log(e^(λ·cos to its positive) / Σ e^(λ·cos to any other vector)); it is averaged over the vectors.

    Args:
        vectors: [2n, d].
        scale: λ, the inverse of the temperature.
        sentence_ids: [2n], equal for equal texts, which are no negatives of each other or of each other's positives.
        anchors: [2n], True at the vectors whose losses are averaged; all of them when None.

    Returns:
        A scalar in fp32; 0 without anchors.

    Example:
        vectors [1, 0], [1, 0], [0, 1], [0, 1] and λ = 1: each has cosines 1, 0 and 0 to the others, so the loss is
        log(e¹ + 2e⁰) − 1 = 0.5514.
    """
    vectors = F.normalize(vectors.float(), dim=-1)
    size = len(vectors)
    indices = torch.arange(size, device=vectors.device)
    positives = indices ^ 1
    excluded = torch.eye(size, dtype=torch.bool, device=vectors.device)
    if sentence_ids is not None:
        same = sentence_ids[:, None] == sentence_ids[None, :]
        excluded = same | same[positives]
        excluded[indices, positives] = False
    logits = (scale * vectors @ vectors.T).masked_fill(excluded, torch.finfo(torch.float32).min)
    if anchors is not None:
        logits, positives = logits[anchors], positives[anchors]
    return F.cross_entropy(logits, positives, reduction="sum") / max(1, len(positives))


def cosent_loss(cosines: Tensor, labels: Tensor, scale: float = 20.0) -> Tensor:
    """Return the CoSENT loss (kexue.fm 8847).

    It is log(1 + Σ e^(λ(cos_j − cos_i))) over all i, j where pair i has a higher label than pair j.

    Args:
        cosines: [n], of the two sentences of each pair.
        labels: [n] similarities; pairs with equal labels are not compared.
        scale: λ.

    Returns:
        A scalar in fp32; 0 where all labels are equal.

    Example:
        cosines [0.9, 0.5, 0.7] with labels [2, 1, 1] and λ = 10: log(1 + e⁻⁴ + e⁻²) = 0.1429.
    """
    cosines = scale * cosines.float()
    differences = cosines[None, :] - cosines[:, None]  # [i, j]
    compared = labels[:, None] > labels[None, :]
    lowest = torch.finfo(torch.float32).min  # finite, so that the gradient of no comparison at all is 0 and not NaN
    return F.softplus(differences.masked_fill(~compared, lowest).flatten().logsumexp(0))


def r_drop_loss(first: Tensor, second: Tensor) -> Tensor:
    """Return (KL(p‖q) + KL(q‖p)) / 4 of two passes with different dropout masks (kexue.fm 8496, arXiv 2106.14448).

    Args:
        first: logits [n, k] of p.
        second: logits [n, k] of q.

    Returns:
        A scalar in fp32: the mean over n, to be added to the mean loss of both passes with a weight α.

    Example:
        logits [0, 0] and [log 3, 0] are p = (½, ½) and q = (¾, ¼): (¼·log 1.5 + ¼·log 2) / 4 = 0.0687.
    """
    first, second = first.float().log_softmax(-1), second.float().log_softmax(-1)
    return ((first.exp() - second.exp()) * (first - second)).sum(-1).mean() / 4


def vocabulary_loss(hidden: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
    """Return the mean cross-entropy of the logits hidden·Wᵀ + b, in the precision of autocast.

    On a CPU the gradient is computed block by block while the logits are in the processor's cache: on one core (AMX,
    bf16) in less than a third of the time of torch's cross-entropy, which reads all of them in fp32 several times.

    Args:
        hidden: [m, d].
        weight: [v, d].
        bias: [v].
        ids: [m] target tokens.

    Returns:
        A scalar in fp32.
    """
    if hidden.device.type != "cpu":
        return F.cross_entropy(F.linear(hidden, weight, bias).float(), ids)
    return _VocabularyLoss.apply(hidden, weight, bias, ids)  # type: ignore[no-any-return, no-untyped-call]


class _VocabularyLoss(torch.autograd.Function):
    """`vocabulary_loss` on a CPU."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        with torch.autocast("cpu", enabled=False):
            states, matrix, offset = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
            of_logits = torch.empty(len(ids), len(weight), dtype=dtype)  # gradient: softmax less 1 at the targets
            total = torch.zeros((), dtype=torch.float32)
            for start in range(0, len(ids), _BLOCK):
                block, targets = of_logits[start : start + _BLOCK], ids[start : start + _BLOCK, None]
                torch.softmax(F.linear(states[start : start + _BLOCK], matrix, offset), -1, out=block)
                total -= block.gather(1, targets).float().clamp(min=torch.finfo(torch.float32).tiny).log().sum()
                block.scatter_add_(1, targets, -torch.ones_like(targets, dtype=dtype))
        ctx.save_for_backward(of_logits, states, matrix)
        ctx.dtypes = hidden.dtype, weight.dtype, bias.dtype
        return total / len(ids)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        of_logits, states, matrix = ctx.saved_tensors
        scale = gradients[0] / len(of_logits)
        of_bias = (of_logits.new_ones(1, len(of_logits)) @ of_logits)[0]  # faster than a sum over rows
        sums = zip((of_logits @ matrix, of_logits.T @ states, of_bias), ctx.dtypes, strict=True)
        of_hidden, of_weight, of_bias = (value.to(dtype) * scale for value, dtype in sums)
        return of_hidden, of_weight, of_bias, None
