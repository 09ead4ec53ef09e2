"""The training and dev sets of a run that may also, or only, learn from questions made from a graph."""

from collections.abc import Sequence

from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.training.synthesize import going_on, synthesize

HALF_SHARE = 0.125  # so many questions that go on come on top of the others; more cost right answers
DEV_SHARE, MOST_DEV = 0.1, 1000  # of made questions that are kept for dev, where no others are


def training_sets(
    train: Sequence[Example], dev: Sequence[Example], graph: str | None, count: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """(training, dev) sets with the questions that are made from a graph.

    Args:
        train: real questions; templates are mined from them.
        dev: real questions; where there are none, some of the made ones.
        graph: the folder to make questions from; None for none.
        count: how many to make.
        seed: of the draws.

    Raises:
        DataError: the graph has nothing to ask about.
        UsageError: nothing to train on, or no dev set.
    """
    if graph is None:
        if not train:
            raise UsageError("nothing to train on; name files, or make questions from a graph with --synthesize")
        if not dev:
            raise UsageError("no dev set; name one with --dev")
        return list(train), list(dev)
    opened = Graph.open(graph)
    made = synthesize(opened, count, seed, train)
    if len(made) < 2:
        raise DataError("has too few triples to make questions from", graph)
    kept = 0 if dev else max(1, min(MOST_DEV, int(len(made) * DEV_SHARE)))
    half = going_on(opened, int(count * HALF_SHARE), seed, train)
    return [*train, *made[kept:], *half], [*dev, *made[:kept]]
