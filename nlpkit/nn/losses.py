"""Loss functions of (logits, labels); they hold no parameters."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nlpkit.nn.global_pointer import Factors

_ROWS = 256  # of logits that are at hand together


def sparse_multilabel_loss(logits: Tensor, positives: Tensor) -> Tensor:
    """Multi-label cross-entropy with the threshold at 0, from sparse labels (kexue.fm 7359, 8373).

    For each row of logits: log(1 + Σ_negative eˢ) + log(1 + Σ_positive e⁻ˢ), then the mean over rows. The published
    sparse form subtracts two nearly equal numbers and loses them in fp32; here the positives are taken out of a copy
    before the sum, so the value is exact, never negative, and a repeated index changes nothing. Sums run in fp32
    whatever the dtype of the logits.

    Args:
        logits: [..., k], where masked classes hold a large negative number (not −inf).
        positives: [..., p] indices into k, padded with −1; p may be 0.

    Returns:
        A scalar in fp32.

    Example:
        logits [1, −2, 3] with positives [2] give log(1 + e¹ + e⁻²) + log(1 + e⁻³) = 1.3488 + 0.0486.
    """
    lowest = torch.tensor(torch.finfo(torch.float32).min, device=logits.device)
    logits = logits.float().flatten(0, -2)
    positives = positives.flatten(0, -2).sort(dim=-1).values
    used = positives >= 0
    used[:, 1:] &= positives[:, 1:] != positives[:, :-1]
    rows, slots = used.nonzero(as_tuple=True)
    negatives = logits.index_put((rows, positives[rows, slots]), lowest)
    # log(1 + Σ eˢ) = softplus(logsumexp(s)); a finite `lowest` keeps the gradient of an empty row at 0 instead of NaN.
    loss = F.softplus(negatives.logsumexp(-1))
    if positives.shape[-1]:
        chosen = torch.where(used, -logits.gather(-1, positives.clamp(min=0)), lowest)
        loss = loss + F.softplus(chosen.logsumexp(-1))
    return loss.mean()


def factored_multilabel_loss(factors: Factors, positives: Tensor) -> Tensor:
    """`sparse_multilabel_loss` of logits in parts, the same number without the [b, c, s, s] tensor.

    A row and label without any positive, as nearly all are where labels are many, needs only the sum over all its
    cells, which is a matrix product: Σ_ij e^(pairs_ij + starts_i + ends_j) = Σ_i e^starts_i · (e^pairs · e^ends)_i.
    In fp64 (fp32 where a device has no other), less the greatest of each part, it neither overflows nor loses small
    terms. Those with positives are spelled out and go through `sparse_multilabel_loss`: nothing is subtracted.

    Args:
        factors: of the logits; see there.
        positives: [b, c, p] flat cells i·s + j, padded with −1 behind.

    Returns:
        A scalar: the mean over b·c.
    """
    pairs, starts, ends = factors
    total = _log_sum(pairs, starts, ends)  # [b, c]
    if not positives.shape[-1]:
        return F.softplus(total).mean()
    annotated = positives[..., 0] >= 0
    empty = F.softplus(total[~annotated]).sum()
    row, label = annotated.nonzero(as_tuple=True)
    if not len(row):
        return empty / annotated.numel()
    logits = pairs[row] + starts[row, :, label][:, :, None] + ends[row, :, label][:, None, :]
    spelled_out = sparse_multilabel_loss(logits.flatten(1), positives[row, label])
    return (empty + spelled_out * len(row)) / annotated.numel()


def _log_sum(pairs: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """The log of Σ_ij e^(pairs_ij + starts_i + ends_j) as [b, c] in fp32."""
    wide = torch.float32 if pairs.device.type == "mps" else torch.float64
    parts = [part.to(wide) for part in (pairs, starts, ends)]
    greatest = [parts[0].amax((1, 2), keepdim=True), *(part.amax(1, keepdim=True) for part in parts[1:])]
    greatest = [most.detach() for most in greatest]
    pair, start, end = ((part - most).exp() for part, most in zip(parts, greatest, strict=True))
    total = (start * (pair @ end)).sum(1).clamp(min=torch.finfo(wide).tiny).log()  # [b, c]
    return (total + greatest[0][:, :, 0] + greatest[1][:, 0] + greatest[2][:, 0]).float()


def simcse_loss(
    vectors: Tensor, scale: float = 20.0, sentences: Tensor | None = None, chosen: Tensor | None = None
) -> Tensor:
    """Contrast of each sentence with its other version against all other rows (kexue.fm 8348, arXiv 2104.08821).

    Rows 2i and 2i+1 are two versions of one sentence: itself under another dropout, or another wording. For each row
    −log(e^(λ·cos to the other version) / Σ e^(λ·cos to any other row)), then the mean over rows.

    Args:
        vectors: [2n, d].
        scale: λ, the inverse of the temperature.
        sentences: [2n], equal where two rows are the same text: such a row is no contrast to itself or its version.
        chosen: [2n], True at the rows that are contrasted with all; all of them when None.

    Returns:
        A scalar in fp32; 0 where no row is chosen.

    Example:
        rows [1, 0], [1, 0], [0, 1], [0, 1] and λ = 1: each row has cosines 1, 0 and 0 to the others, so the loss is
        log(e¹ + 2e⁰) − 1 = 0.5514.
    """
    vectors = F.normalize(vectors.float(), dim=-1)
    size = len(vectors)
    rows = torch.arange(size, device=vectors.device)
    other = rows ^ 1
    left_out = torch.eye(size, dtype=torch.bool, device=vectors.device)
    if sentences is not None:
        same = sentences[:, None] == sentences[None, :]
        left_out = same | same[other]
        left_out[rows, other] = False
    logits = (scale * vectors @ vectors.T).masked_fill(left_out, torch.finfo(torch.float32).min)
    if chosen is not None:
        logits, other = logits[chosen], other[chosen]
    return F.cross_entropy(logits, other, reduction="sum") / max(1, len(other))


def cosent_loss(cosines: Tensor, labels: Tensor, scale: float = 20.0) -> Tensor:
    """log(1 + Σ e^(λ(cos_j − cos_i))) over all i, j where pair i should be more alike than pair j (kexue.fm 8847).

    Args:
        cosines: [n], of the two sentences of each pair.
        labels: [n], whatever has an order; equal ones are not compared.
        scale: λ.

    Returns:
        A scalar in fp32; 0 where all labels are equal.

    Example:
        cosines [0.9, 0.5, 0.7] with labels [2, 1, 1] and λ = 10: log(1 + e⁻⁴ + e⁻²) = 0.1429.
    """
    cosines = scale * cosines.float()
    wrong = cosines[None, :] - cosines[:, None]  # [i, j]
    counted = labels[:, None] > labels[None, :]
    lowest = torch.finfo(torch.float32).min  # finite, so that the gradient of no comparison at all is 0 and not NaN
    return F.softplus(wrong.masked_fill(~counted, lowest).flatten().logsumexp(0))


def r_drop_loss(first: Tensor, second: Tensor) -> Tensor:
    """(KL(p‖q) + KL(q‖p)) / 4 of what two passes under different dropout say (kexue.fm 8496, arXiv 2106.14448).

    Args:
        first: logits [n, k] of p.
        second: logits [n, k] of q.

    Returns:
        A scalar in fp32: the mean over rows, to be added α times to the mean loss of both passes.

    Example:
        logits [0, 0] and [log 3, 0] are p = (½, ½) and q = (¾, ¼): (¼·log 1.5 + ¼·log 2) / 4 = 0.0687.
    """
    first, second = first.float().log_softmax(-1), second.float().log_softmax(-1)
    return ((first.exp() - second.exp()) * (first - second)).sum(-1).mean() / 4


def vocabulary_loss(hidden: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy of the logits hidden·Wᵀ + b, in the precision of autocast.

    On a CPU the gradient is made row block by row block while the logits are in the cache: on one core (AMX, bf16) less
    than a third of the time of torch's cross-entropy, which goes through all of them in fp32 again and again.

    Args:
        hidden: [m, d].
        weight: [v, d].
        bias: [v].
        ids: [m], the true ones.

    Returns:
        A scalar in fp32.
    """
    if hidden.device.type != "cpu":
        return F.cross_entropy(F.linear(hidden, weight, bias).float(), ids)
    return _VocabularyLoss.apply(hidden, weight, bias, ids)  # type: ignore[no-any-return, no-untyped-call]


class _VocabularyLoss(torch.autograd.Function):
    """See `vocabulary_loss`."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        with torch.autocast("cpu", enabled=False):
            states, matrix, offset = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
            wrong = torch.empty(len(ids), len(weight), dtype=dtype)  # softmax less 1 at the true ones
            total = torch.zeros((), dtype=torch.float32)
            for start in range(0, len(ids), _ROWS):
                block, true = wrong[start : start + _ROWS], ids[start : start + _ROWS, None]
                torch.softmax(F.linear(states[start : start + _ROWS], matrix, offset), -1, out=block)
                total -= block.gather(1, true).float().clamp(min=torch.finfo(torch.float32).tiny).log().sum()
                block.scatter_add_(1, true, -torch.ones_like(true, dtype=dtype))
        ctx.save_for_backward(wrong, states, matrix)
        ctx.dtypes = hidden.dtype, weight.dtype, bias.dtype
        return total / len(ids)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        wrong, states, matrix = ctx.saved_tensors
        share = gradients[0] / len(wrong)
        of_bias = (wrong.new_ones(1, len(wrong)) @ wrong)[0]  # faster than a sum over rows
        parts = zip((wrong @ matrix, wrong.T @ states, of_bias), ctx.dtypes, strict=True)
        of_hidden, of_weight, of_bias = (part.to(dtype) * share for part, dtype in parts)
        return of_hidden, of_weight, of_bias, None
