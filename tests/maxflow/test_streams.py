"""Single players over a shared base flow: the same values and nearest cuts as one cold flow for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from attnflow import FlowNetwork
from attnflow.maxflow import Solver, board, games
from attnflow.network import Block


def softmax(rng: np.random.Generator, layers: int, n: int, residual: float, causal: bool) -> np.ndarray:
    logits = rng.normal(0, rng.uniform(0.2, 3), (layers, n, n))
    if causal:
        logits[:, np.triu(np.ones((n, n), dtype=bool), 1)] = -np.inf
    A = np.exp(logits - logits.max(axis=-1, keepdims=True))
    A /= A.sum(axis=-1, keepdims=True)
    A *= 1 - residual
    A[:, np.arange(n), np.arange(n)] += residual
    return A


def sparse(rng: np.random.Generator, layers: int, n: int) -> np.ndarray:
    A = rng.random((layers, n, n)) * 10.0 ** rng.integers(-4, 3, (layers, n, n))
    A[rng.random(A.shape) < rng.uniform(0.2, 0.8)] = 0
    return A


def opened(rng: np.random.Generator, layers: int, n: int, causal: bool) -> FlowNetwork:
    A = sparse(rng, layers, n)
    if causal:
        A *= np.tri(n)
    A[:, np.arange(n), np.arange(n)] = np.inf
    build = FlowNetwork.decoder if causal else FlowNetwork.encoder
    return replace(
        build(np.where(np.isinf(A), 1.0, A)),
        edges=tuple(Block(layer, layer + 1, A[layer], layer + 1) for layer in range(layers)),
        own=rng.random(n),
        row_stochastic=False,
    )


def network(kind: str, seed: int) -> FlowNetwork:
    rng = np.random.default_rng([seed, len(kind)])
    layers, n = int(rng.integers(1, 8)), int(rng.integers(2, 14))
    if kind == "encoder":
        return FlowNetwork.encoder(softmax(rng, layers, n, 0.5, False))
    if kind == "decoder":
        return FlowNetwork.decoder(softmax(rng, layers, n, 0.5, True))
    if kind == "float32":
        return FlowNetwork.decoder(softmax(rng, layers, n, 0.5, True).astype(np.float32))
    if kind == "no residual":
        return FlowNetwork.encoder(softmax(rng, layers, n, 0.0, False))
    if kind == "sparse":
        return FlowNetwork.encoder(sparse(rng, layers, n))
    if kind == "integers":
        return FlowNetwork.encoder(rng.integers(0, 4, (layers, n, n)).astype(float))
    if kind == "infinite later":
        A = sparse(rng, layers + 1, n)
        later = rng.random(A.shape) < 0.15
        later[0] = False
        return FlowNetwork.encoder(np.where(later, np.inf, A))
    if kind == "open":
        return opened(rng, layers, n, False)
    return opened(rng, layers, n, True)


KINDS = [
    "encoder",
    "decoder",
    "float32",
    "no residual",
    "sparse",
    "integers",
    "infinite later",
    "open",
    "open causal",
]


def compare(make: Callable[[], Solver]) -> None:
    shared, cold = make(), make()
    assert shared._stack
    cold._stack = False
    units, bottleneck = shared.singles()
    assert shared.singles_up_to(shared.grand()).tolist() == units.tolist()
    expected, layers = cold.singles()
    assert units.tolist() == expected.tolist()
    assert bottleneck.tolist() == layers.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_a_shared_base_changes_neither_values_nor_nearest_cuts(kind: str, seed: int) -> None:
    net = network(kind, seed)
    for target in {0, net.size // 2, net.size - 1}:
        compare(lambda target=target: Solver(net, target))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_wide_edges_first_as_in_large_contexts(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "LARGE", 2)
    net = network(kind, seed)
    compare(lambda: Solver(net, net.size - 1))


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_positions(kind: str) -> None:
    net = network(kind, 100)
    groups = [tuple(range(0, net.size, 2)), tuple(range(1, net.size, 2))]
    compare(lambda: Solver(net, net.size - 1, groups=groups))


@pytest.mark.parametrize("kind", KINDS[:7])
@pytest.mark.parametrize("weighted", [False, True])
def test_sets_of_targets(kind: str, weighted: bool) -> None:
    net = network(kind, 200)
    share = [1 / net.size] * net.size if weighted else None
    compare(lambda: Solver(net, tuple(range(net.size)), weights=share))


def test_every_way_to_close_occurs() -> None:
    """All a player has is used; all that the target can take; and a cut between, proved by a search."""
    tight = full = between = 0
    for seed in range(12):
        net = network("encoder", seed)
        game = Solver(net, 0)
        units, grand = game.singles()[0], game.grand()
        out = game.outgoing()
        tight += int((units == out).sum())
        full += int(((units == grand) & (units < out)).sum())
        between += int(((units < grand) & (units < out)).sum())
    assert min(tight, full, between) > 0


def test_too_small_scratch_is_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    net = FlowNetwork.encoder(softmax(np.random.default_rng(0), 6, 20, 0.5, False))
    expected = Solver(net, 0)
    monkeypatch.setattr(board.desk, "DISTANCES", 0)
    game = Solver(net, 0)
    game.board._edges = 4
    assert game.singles()[0].tolist() == expected.singles()[0].tolist()
    assert game.board._edges > 4
    order = np.array([np.random.default_rng(seed).permutation(20) for seed in range(4)])
    assert game.orders(order, game.grand()).tolist() == expected.orders(order, expected.grand()).tolist()


def test_networkx_agrees() -> None:
    net = network("encoder", 3)
    game = Solver(net, 1)
    graph = nx.DiGraph()
    units = game.graph.split(net, game.graph.units_for((1,)))
    for edges, capacity in zip(net.edges, units):
        for (q, k), amount in np.ndenumerate(capacity):
            graph.add_edge((edges.source, k), (edges.target, q), capacity=int(amount))
    for player, found in enumerate(game.singles()[0].tolist()):
        assert found == nx.maximum_flow_value(
            graph, (0, player), (len(net.edges), 1), flow_func=nx.algorithms.flow.edmonds_karp
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_have_bases_of_their_own(threads: int) -> None:
    net = FlowNetwork.decoder(softmax(np.random.default_rng(5), 5, 24, 0.5, True))
    assert Solver(net, 23, threads=threads).singles()[0].tolist() == Solver(net, 23).singles()[0].tolist()


def test_several_stacks_are_left_to_the_general_solver() -> None:
    rng = np.random.default_rng(0)
    A = softmax(rng, 2, 4, 0.5, False)
    D = softmax(rng, 2, 3, 0.5, True)
    X = rng.random((2, 3, 4))
    X /= X.sum(axis=-1, keepdims=True)
    net = FlowNetwork.encoder_decoder(A, D, X, cross_residual=0.5)
    assert not Solver(net, 2)._stack


def test_loops_are_compiled_once_for_all_kinds_of_arrays() -> None:
    A = np.full((3, 5, 5), 0.1) + 0.5 * np.eye(5)
    for capacity in (A, A.astype(np.float32), list(A), A[:, ::1].copy()):
        game = Solver(FlowNetwork.encoder(capacity), 0)
        game.singles()
        game.subsets(game.grand())
        game.orders(np.array([np.arange(5)]), game.grand())
    for loop in (games.play, games.play_single, games.owe):
        assert len(loop.signatures) == 1
