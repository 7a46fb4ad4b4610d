"""Rollout against products of matrices and against dense transition matrices over all nodes."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
from attnflow.errors import OptionError
from attnflow.methods import attribute
from attnflow.network import Block, FlowNetwork


def by_dense_walk(network: FlowNetwork, start: dict[int, float]) -> np.ndarray:
    """Absorption probabilities from (I - Q)^-1 R over the graph of all nodes, as one dense matrix."""
    offset = np.concatenate([[0], np.cumsum([group.size for group in network.groups])])
    entering = np.zeros((offset[-1], offset[-1]))  # [node, node before it]
    for part in network.edges:
        tail, head = offset[part.source], offset[part.target]
        if isinstance(part, Block):
            entering[head : head + part.capacity.shape[0], tail : tail + part.capacity.shape[1]] += (
                part.capacity
            )
        else:
            for i, capacity in enumerate(part.capacity):
                entering[head + part.first + i + part.shift, tail + part.first + i] += capacity
    infinite = np.isinf(entering)
    entering[infinite.any(axis=1)] = infinite[infinite.any(axis=1)]
    sums = entering.sum(axis=1, keepdims=True)
    walk = np.divide(entering, sums, out=np.zeros_like(entering), where=sums > 0)
    mass = np.zeros(offset[-1])
    for position, share in start.items():
        mass[offset[-2] + position] = share
    visits = np.linalg.solve(np.eye(offset[-1]) - walk.T, mass)
    inputs = {group.stack: offset[g] for g, group in enumerate(network.groups) if group.layer == 0}
    return np.array(
        [visits[inputs[stack] + position] for ((stack, position),) in (p.nodes for p in network.players)]
    )


@pytest.mark.parametrize("residual", [0.0, 0.5])
@pytest.mark.parametrize("decoder", [False, True])
def test_equals_the_product_of_the_matrices(residual, decoder):
    """Abnar & Zuidema's rollout: the target's row of A_L ... A_1, each 0.5 A + 0.5 I."""
    A = networks.softmax(np.random.default_rng(0), 4, 6, 6)
    A = networks.causal(A) if decoder else A
    C = networks.merged(A, residual)
    product = reduce(lambda below, above: above @ below, C)
    build = FlowNetwork.decoder if decoder else FlowNetwork.encoder
    result = attribute(build(C), method="rollout", targets=list(range(6)))
    assert result.scores == pytest.approx(product, abs=1e-12)
    assert not result.estimated


def test_rows_that_do_not_sum_to_one_are_walked_in_proportion():
    rng = np.random.default_rng(1)
    C = networks.gradient_like(rng, 3, 5, 5)
    C[:, :, 0] += 1e-3  # no node without in-edges
    shares = networks.rows(C)
    expected = reduce(lambda below, above: above @ below, shares)
    result = attribute(FlowNetwork.encoder(C), method="rollout", targets=list(range(5)), bounds=False)
    assert result.scores == pytest.approx(expected, abs=1e-12)


def test_walks_into_a_node_that_nothing_feeds_are_lost():
    C = np.array([[[1.0, 1.0], [0.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    result = attribute(FlowNetwork.encoder(C), method="rollout", targets=[0, 1])
    assert result.scores.tolist() == [[0.25, 0.25], [0.0, 0.0]]


@pytest.mark.parametrize(
    "kind",
    [
        "encoder",
        "encoder sinks",
        "encoder zero columns",
        "decoder",
        "decoder closed",
        "decoder closed sinks",
        "encoder-decoder",
        "encoder-decoder closed",
    ],
)
def test_equals_a_dense_walk_over_all_nodes(kind):
    for seed in range(6):
        network = networks.KINDS[kind](np.random.default_rng([seed, 9]), 1 + seed, 1 + seed % 3)
        for target in range(network.size):
            result = attribute(network, method="rollout", targets=[target], bounds=False)
            assert result.scores[0] == pytest.approx(by_dense_walk(network, {target: 1.0}), abs=1e-12)


@given(networks.networks(sorted(networks.STOCHASTIC)), st.data())
def test_a_set_is_the_weighted_mean_of_its_positions(network, data):
    target = data.draw(networks.sets_of(network))
    weights = data.draw(networks.shares(len(target)))
    each = attribute(network, method="rollout", targets=target, bounds=False).scores
    weighted = attribute(network, method="rollout", targets=[target], weights=[weights], bounds=False)
    assert weighted.scores[0] == pytest.approx(np.array(weights) @ each, abs=1e-12)
    plain = attribute(network, method="rollout", targets=[target], bounds=False)
    assert plain.scores[0] == pytest.approx(each.mean(axis=0), abs=1e-12)
    assert weighted.scores.sum() == pytest.approx(1, abs=1e-9)
    start = dict(zip(target, weights))
    assert weighted.scores[0] == pytest.approx(by_dense_walk(network, start), abs=1e-10)


@given(networks.networks(sorted(networks.STOCHASTIC)), st.data())
def test_groups_score_the_sum_of_their_members(network, data):
    groups = data.draw(networks.groupings_of(network))
    target = data.draw(networks.targets_of(network))
    each = attribute(network, method="rollout", targets=[target], bounds=False).scores[0]
    joined = attribute(network, method="rollout", targets=[target], players=groups, bounds=False)
    assert joined.scores[0] == pytest.approx([each[group].sum() for group in groups], abs=1e-12)


@pytest.mark.parametrize(
    "kind", ["encoder open", "decoder open", "encoder-decoder open", "encoder-decoder unscaled"]
)
def test_refused_where_infinite_edges_meet_others(kind):
    network = networks.KINDS[kind](np.random.default_rng(2), 4, 2)
    with pytest.raises(OptionError, match=r"'rollout' is not defined.*infinite edges"):
        attribute(network, method="rollout", targets=[0])


def test_refused_for_every_open_residual():
    from attnflow.trace import Trace

    network = FlowNetwork.from_trace(Trace.from_arrays(np.eye(2)[None]), residual="open")
    with pytest.raises(OptionError, match="rollout"):
        attribute(network, method="rollout", targets=[0], bounds=False)


def test_float32_capacities_are_walked_in_float64():
    C = networks.merged(networks.softmax(np.random.default_rng(3), 3, 50, 50)).astype(np.float32)
    narrow, wide = (
        attribute(FlowNetwork.encoder(part), method="rollout", targets=[0], bounds=False)
        for part in (C, C.astype(np.float64))
    )
    assert narrow.scores == pytest.approx(wide.scores, abs=1e-12)
