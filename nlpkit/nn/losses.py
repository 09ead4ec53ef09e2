"""Loss functions of (logits, labels); they hold no parameters."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
