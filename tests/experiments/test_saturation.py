"""The saturation study: its cuts are cuts, and its rule tells what it says it tells."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.saturation import grid, rule
from experiments.saturation.measures import correlation, elsewhere, measured, near

import networks
from attnflow import FlowNetwork, Trace, attribute


@pytest.mark.parametrize("kind", ["encoder", "decoder", "encoder-decoder", "encoder open"])
def test_no_flow_exceeds_the_nearest_cuts(kind):
    network = networks.KINDS[kind](np.random.default_rng(3), 6, 3)
    for target in range(network.size):
        found = attribute(network, method="flow", targets=[target])
        leaving, entering = near(network, [target])
        assert (found.scores[0] <= leaving + 1e-9).all()
        assert found.total[0] <= entering + 1e-9


def test_cuts_by_hand():
    C = np.array([[[0.25, 0.1], [0.5, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    leaving, entering = near(FlowNetwork.encoder(C), [0])
    assert leaving == pytest.approx([0.75, 1.0])
    assert entering == pytest.approx(1.0)
    trace = Trace.from_arrays(encoder=np.full((2, 2, 2), 0.5))
    leaving, entering = near(FlowNetwork.from_trace(trace, residual="open"), [0])
    # each token's own column is joined by infinite edges, but for the target's first: 0.5 leaves it in either layer
    assert leaving == pytest.approx([0.5, 1.0])
    assert entering == pytest.approx(1.0)


def test_even_attention_is_tight_and_tells_nothing():
    network = FlowNetwork.encoder(np.full((2, 5, 5), 0.2))
    found = measured(network, (0,), occlusion={1: 0.5, 2: 0.1, 3: 0.2, 4: 0.0})
    assert (found["sender"], found["either"], found["tied"]) == (1.0, 1.0, 1.0)
    assert found["flow~occlusion"] is None  # all scores are equal
    assert elsewhere(network, [0, 3]) == [None, None]


def test_targets_that_agree_and_that_do_not():
    columns = np.tile([0.4, 0.3, 0.15, 0.1, 0.05], (5, 1))
    even = np.full((5, 5), 0.2)
    assert elsewhere(FlowNetwork.encoder(np.stack([columns, even])), [0, 3]) == pytest.approx([1.0, 1.0])
    apart = np.array([columns[0], columns[0, ::-1], columns[0], columns[0], columns[0]])
    assert elsewhere(FlowNetwork.encoder(apart[None]), [0, 1])[0] < 0


def test_correlation_of_what_does_not_vary():
    assert correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert correlation([1, 2, 3], [1, 2, 3]) is None  # too few
    assert correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)


def test_the_rule_finds_the_threshold_that_separates():
    rows = [
        {"sender": tight, "either": tight, "idle": tight, "flow~columns": tight, "elsewhere": same}
        for tight, same in ((0.7, 0.95), (0.9, 1.0), (0.2, 0.1), (0.4, 0.3))
    ]
    sign = "tight at the first layer or the target"
    assert 0.4 <= rule.fitted(rows, sign) < 0.7
    assert rule.told(rows, sign, 0.5) == rule.Told(4, 0.5, 1.0, 0.0)
    assert rule.told(rows, sign, 0.1).balanced == 0.5


def test_draws_are_the_same_again():
    (first, *_), (again, *_) = (list(grid.drawn("6/16/1.0/0", seed=1)) for _ in range(2))
    assert first == again
    assert first["sender"] > 0


def test_weights_are_told_apart():
    torch = pytest.importorskip("torch")
    from experiments.saturation.systems import digest

    model = torch.nn.Linear(2, 2)
    before = digest(model)
    assert digest(model) == before
    with torch.no_grad():
        model.bias[0] += 1
    assert digest(model) != before
