"""What the metrics of several tasks are made of."""


def prf(correct: float, predicted: int, gold: int) -> dict[str, float]:
    """Precision, recall and F1 as fractions; 0 where a count is 0. What is nearly right may count as a fraction."""
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / gold if gold else 0.0,
        "f1": 2 * correct / (predicted + gold) if predicted + gold else 0.0,
    }
