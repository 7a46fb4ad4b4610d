"""Raw attention: rows of the last layer's head-averaged matrix."""

from __future__ import annotations

import numpy as np
import pytest

import networks
from attnflow.errors import OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.trace import Trace


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "encoder": networks.softmax(rng, 2, 3, 5, 5),
        "decoder": networks.causal(networks.softmax(rng, 2, 3, 4, 4)),
        "cross": networks.softmax(rng, 2, 3, 4, 5),
    }


def test_encoder(arrays):
    network = FlowNetwork.from_trace(Trace.from_arrays(arrays["encoder"]))
    result = attribute(network, method="attention", targets=list(range(5)))
    assert result.scores == pytest.approx(arrays["encoder"][-1].mean(axis=0), abs=1e-12)
    assert result.total == pytest.approx(np.ones(5))  # v(N) of the network, whatever the method


def test_no_residual_in_it(arrays):
    trace = Trace.from_arrays(arrays["encoder"])
    scores = [
        attribute(FlowNetwork.from_trace(trace, residual=r), method="attention", targets=[1]).scores
        for r in (0.0, 0.5, "open")
    ]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] == scores[2]).all()


@pytest.mark.parametrize("prefix", ["players", "closed"])
def test_decoder(arrays, prefix):
    trace = Trace.from_arrays(decoder=arrays["decoder"], prompt=2)
    network = FlowNetwork.from_trace(trace, prefix=prefix)
    result = attribute(network, method="attention", targets=[3, 1])
    last = arrays["decoder"][-1].mean(axis=0)
    assert result.scores == pytest.approx(last[[3, 1], : len(network.players)], abs=1e-12)
    assert len(network.players) == (4 if prefix == "players" else 2)
    if prefix == "closed":  # attention on generated positions is dropped
        assert result.scores[0].sum() < 1


@pytest.mark.parametrize("prefix", ["players", "closed"])
def test_encoder_decoder(arrays, prefix):
    network = FlowNetwork.from_trace(Trace.from_arrays(**arrays, prompt=2), prefix=prefix)
    result = attribute(network, method="attention", targets=[2])
    own = arrays["decoder"][-1].mean(axis=0)[2, : len(network.players) - 5]
    cross = arrays["cross"][-1].mean(axis=0)[2]
    assert result.scores[0] == pytest.approx([*cross, *own], abs=1e-12)


def test_sets_and_groups(arrays):
    network = FlowNetwork.from_trace(Trace.from_arrays(arrays["encoder"]))
    last = arrays["encoder"][-1].mean(axis=0)
    result = attribute(
        network,
        method="attention",
        targets=[[0, 1], [0, 1]],
        weights=[None, [0.25, 0.75]],
        players=[[0, 4], [2]],
    )
    rows = np.array([last[[0, 1]].mean(axis=0), 0.25 * last[0] + 0.75 * last[1]])
    assert result.scores == pytest.approx(np.stack([rows[:, 0] + rows[:, 4], rows[:, 2]], axis=1), abs=1e-12)


def test_last_layer_of_a_slice(arrays):
    trace = Trace.from_arrays(arrays["encoder"])
    last = FlowNetwork.from_trace(trace, layers=(2, 2))
    assert attribute(last, method="attention", targets=[0]).scores == pytest.approx(
        arrays["encoder"][1].mean(axis=0)[[0]]
    )
    with pytest.raises(OptionError, match="last layer's attention"):
        attribute(FlowNetwork.from_trace(trace, layers=(1, 1)), method="attention", targets=[0])


def test_refused_without_a_trace():
    network = FlowNetwork.encoder(np.full((1, 2, 2), 0.5))
    with pytest.raises(OptionError, match="only a network built from a trace"):
        attribute(network, method="attention", targets=[0])
