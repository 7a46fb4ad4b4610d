"""Attention flow: one maximum flow per player."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
import oracles
from attnflow.methods import attribute
from attnflow.network import FlowNetwork


@given(networks.networks(max_size=6) | networks.drawn(), st.data())
def test_scores_are_the_values_of_single_players(network, data):
    target = data.draw(networks.sets_of(network))
    result = attribute(network, method="flow", targets=[target])
    for j in range(len(network.players)):
        assert result.scores[0, j] == network.max_flow([j], target=target).value
        expected = oracles.by_networkx(oracles.arcs(network, target, [j]))
        assert result.scores[0, j] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert (result.scores == result.upper).all()


@pytest.mark.parametrize("kind", ["encoder", "decoder closed", "encoder-decoder", "encoder open"])
def test_at_a_realistic_size(kind):
    network = networks.KINDS[kind](np.random.default_rng(5), 48, 4)
    target = network.size // 2
    result = attribute(network, method="flow", targets=[target])
    for j in range(0, len(network.players), 9):
        expected = oracles.by_igraph(oracles.arcs(network, target, [j]))
        assert result.scores[0, j] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_without_bounds_the_upper_bound_stays():
    network = networks.encoder(np.random.default_rng(0), 4, 2)
    result = attribute(network, method="flow", targets=[0, 1], bounds=False)
    assert (result.upper == result.scores).all()
    assert result.lower is None
    assert result.bottleneck is None
    assert result.total == pytest.approx([1, 1])
    other = attribute(network, method="shapley", targets=[0], bounds=False)
    assert other.upper is None


def test_saturation_by_hand():
    """F4: what leaves the player and what enters the target both bound its flow."""
    C = np.array([[[0.25, 0.1], [0.5, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    result = attribute(FlowNetwork.encoder(C), method="flow", targets=[0])
    assert result.scores[0] == pytest.approx([0.25 + 0.5, 0.1 + 0.5])
    assert (result.scores[0] <= C[0].sum(axis=0)).all()
    assert (result.scores[0] <= C[1, 0].sum()).all()


@pytest.mark.parametrize("method", ["flow", "shapley", "rollout"])
def test_targets_on_two_threads_at_once_change_nothing(method: str) -> None:
    A = np.random.default_rng(3).dirichlet(np.ones(7), (3, 7))
    network = FlowNetwork.encoder(A)
    told: list[tuple[str, int, int | None]] = []
    options = {"method": method, "targets": range(7), "exclude": [2]}
    one = attribute(network, threads=1, **options)
    two = attribute(network, threads=2, progress=lambda *step: told.append(step), **options)
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.bottleneck, two.bottleneck)
    np.testing.assert_array_equal(one.excluded_cost, two.excluded_cost)
    assert [step for step in told if step[0] == "targets"] == [("targets", done, 7) for done in range(2, 8)]


def test_a_caller_who_stops_many_targets_gets_his_own_error() -> None:
    class StopError(Exception):
        pass

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "targets":
            raise StopError

    network = FlowNetwork.encoder(np.random.default_rng(3).dirichlet(np.ones(7), (3, 7)))
    with pytest.raises(StopError):
        attribute(network, method="flow", targets=range(7), threads=2, progress=progress)
