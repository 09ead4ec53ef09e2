"""Settings of pretraining: how much a checkpoint grows, as it is written on the command line."""

import pytest

from nlpkit.errors import UsageError
from nlpkit.tasks.pretrain.settings import growth


@pytest.mark.parametrize(("text", "value"), [("width=2", ("width", 2)), ("depth=9", ("depth", 9))])
def test_growth_has_a_direction_and_a_factor(text, value):
    assert growth(text) == value


@pytest.mark.parametrize("text", ["", "width", "width=1", "width=10", "width=-2", "height=2", "width=2 ", "WIDTH=2"])
def test_any_other_growth_is_an_error(text):
    with pytest.raises(UsageError) as caught:
        growth(text)
    assert str(caught.value) == f"--grow {text}: one of width=2, depth=2 (or another small factor)"
