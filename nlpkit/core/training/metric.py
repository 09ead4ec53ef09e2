"""Functions shared by the metrics of several tasks."""


def prf(correct: float, predicted: int, gold: int) -> dict[str, float]:
    """Return precision, recall and F1 as fractions; 0 if a count is 0. `correct` may include partial credit."""
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / gold if gold else 0.0,
        "f1": 2 * correct / (predicted + gold) if predicted + gold else 0.0,
    }
