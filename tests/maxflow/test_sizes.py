"""Sets of nodes lie in words of 64 bits: sizes at and around whole words, in networks of every builder."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import networks
import oracles
from attnflow import FlowNetwork
from attnflow.errors import NetworkError, SolverError
from attnflow.maxflow import Solver, desk, net
from attnflow.maxflow.graph import INFINITE
from attnflow.maxflow.loops import get, put
from attnflow.network import Block, Link


@pytest.mark.parametrize("kind", sorted(networks.KINDS))
@pytest.mark.parametrize(("n", "layers"), [(63, 5), (64, 2), (64, 6), (65, 5), (130, 2)])
def test_words_are_filled_to_the_last_bit(kind: str, n: int, layers: int) -> None:
    """Single players over a base and without, coalitions, kept flows and joining orders are routes to one v."""
    rng = np.random.default_rng([n, len(kind)])
    network = networks.KINDS[kind](rng, n, layers)
    target = int(rng.integers(network.size))
    game, cold = Solver(network, target), Solver(network, target)
    cold._stack, board = False, cold.board
    board.begin, board.ends = 0, ([0] * cold.players, [0] * cold.players)
    board.floors = np.zeros_like(board.floors)
    units, bottlenecks = game.singles()
    expected, where = cold.singles()
    assert units.tolist() == expected.tolist()
    assert bottlenecks.tolist() == where.tolist()
    last = game.players - 1
    for j in {0, last // 2, last}:
        assert game.value([j]) == units[j]
        flow = network.max_flow([j], target=target)
        assert flow.verify()
        assert flow.units == units[j]
        problem = oracles.arcs(network, target, [j])
        assert flow.value == pytest.approx(oracles.by_ortools(problem), rel=1e-9, abs=1e-12)
    order = rng.permutation(game.players)
    gains = game.orders(order[None], game.grand())[0]
    for joined in {1, game.players // 2, game.players}:
        assert gains[order[:joined]].sum() == game.value(order[:joined].tolist())


@pytest.mark.parametrize("sizes", [(64, 128), (65, 63), (1, 200)])
def test_sequences_of_two_lengths(sizes: tuple[int, int]) -> None:
    n, m = sizes
    rng = np.random.default_rng(sizes)
    E = networks.merged(networks.softmax(rng, 2, n, n))
    D = networks.merged(networks.causal(networks.softmax(rng, 2, m, m)))
    network = FlowNetwork.encoder_decoder(E, D, 0.5 * networks.softmax(rng, 2, m, n), cross_residual=0.5)
    solver = Solver(network, m - 1)
    units, _ = solver.singles()
    for j in (0, n - 1, n, n + m - 1):
        flow = network.max_flow([j], target=m - 1)
        assert flow.verify()
        assert flow.units == units[j]
    grand = network.max_flow(target=m - 1)
    problem = oracles.arcs(network, m - 1)
    assert grand.verify()
    assert grand.value == pytest.approx(oracles.by_ortools(problem), rel=1e-9)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 129])
def test_nodes_that_lead_to_the_target(n: int) -> None:
    rng = np.random.default_rng(n)
    A = np.where(rng.random((2, n, n)) < 1.5 / n, rng.random((2, n, n)), 0.0)
    A[1, n - 1, 0] = 0.5
    graph = FlowNetwork.encoder(A)._graph
    middle = A[1, n - 1] > 0
    expected = [*(A[0, middle] > 0).any(axis=0), *middle, *(np.arange(n) == n - 1)]
    found = net.towards(graph.net, np.array([graph.node(2, n - 1)]), False)
    assert net.as_mask(graph.net, found).tolist() == expected
    some = np.flatnonzero(rng.random(3 * n) < 0.5)
    assert net.holds(graph.net, found, some).tolist() == [expected[node] for node in some]


def test_flow_through_a_players_own_node() -> None:
    """What some players send passes through the inputs of others, whose edges are then not theirs alone."""
    rng = np.random.default_rng(3)
    plain = FlowNetwork.encoder_decoder(
        rng.random((1, 3, 3)), rng.random((1, 3, 3)), rng.random((1, 3, 3)), cross_residual=0.5, causal=False
    )
    network = replace(plain, edges=(*plain.edges, Block(0, 2, rng.random((3, 3)), 1)))
    assert [group.layer for group in network.groups][:3] == [0, 1, 0]
    solver = Solver(network, 2)
    assert solver.board.entered
    values = solver.subsets(solver.grand())
    for mask in range(1, 1 << solver.players):
        chosen = [j for j in range(solver.players) if mask >> j & 1]
        flow = network.max_flow(chosen, target=2)
        assert flow.verify()
        assert flow.units == values[mask]
        problem = oracles.arcs(network, 2, chosen)
        assert flow.value == pytest.approx(oracles.by_ortools(problem))
    units, _ = solver.singles()
    assert units.tolist() == [values[1 << j] for j in range(solver.players)]
    order = np.array([rng.permutation(solver.players) for _ in range(20)])
    for row, gains in zip(order, solver.orders(order, solver.grand())):
        masks = np.cumsum(1 << row)
        assert np.cumsum(gains[row]).tolist() == values[masks].tolist()


def test_a_block_of_ones_beside_the_stream() -> None:
    """Two blocks between the same groups: only one of them gives the streams."""
    A = np.full((2, 2), 0.25)
    plain = FlowNetwork.encoder(np.stack([A, A]))
    twice = FlowNetwork(
        groups=plain.groups,
        edges=(*plain.edges, Block(0, 1, A, 1)),
        players=plain.players,
        layers=plain.layers,
        architecture="encoder",
        prefix="players",
        row_stochastic=False,
    )
    problem = oracles.arcs(twice, 0)
    assert twice.max_flow(target=0).value == pytest.approx(oracles.by_ortools(problem))
    assert twice.max_flow([1], target=0).value == pytest.approx(0.5)


def test_copies_have_tables_of_their_own() -> None:
    """A network that was solved holds addresses of its arrays: a copy's are its own."""
    network = FlowNetwork.encoder(np.random.default_rng(0).random((3, 70, 70)))
    expected = network.max_flow(target=3).units
    for copied in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert copied._graph.net.table.tolist() != network._graph.net.table.tolist()
        assert copied.max_flow(target=3).units == expected
        assert copied.max_flow(target=4).verify()


def test_what_comes_back_to_a_player_does_not_count() -> None:
    plain = FlowNetwork.encoder(np.full((2, 2, 2), 0.25))
    network = replace(plain, edges=(*plain.edges, Link(1, 0, np.array([1.0]), first=1, shift=-1)))
    for j in (0, 1):
        solver = Solver(network, 0)
        problem = oracles.arcs(network, 0, [j])
        units = solver.singles()[0][j]
        assert units == solver.value([j]) == solver.singles_up_to(solver.grand())[j]
        assert float(solver.graph.value(units)) == pytest.approx(oracles.by_ortools(problem))


def test_no_debt_is_paid_through_a_players_own_input() -> None:
    """What he brings would come back to him over a link, and his own stream count twice."""
    plain = FlowNetwork.encoder(np.array([[[0.5, 0.3], [0.4, 0.2]]]))
    network = replace(plain, edges=(*plain.edges, Link(1, 0, np.array([0.5]), first=1, shift=-1)))
    solver = Solver(network, 0)
    units = solver.singles()[0]
    assert solver.graph.value(units).tolist() == pytest.approx([0.5, 0.5])
    assert units.tolist() == [solver.value([0]), solver.value([1])]


def test_streams_in_a_circle_end() -> None:
    plain = FlowNetwork.encoder(np.full((2, 3, 3), 0.25))
    network = replace(plain, edges=(*plain.edges, Link(2, 0, np.full(3, 0.5))))
    solver = Solver(network, 1)
    assert solver.singles()[0].tolist() == [solver.value([j]) for j in range(3)]
    problem = oracles.arcs(network, 1)
    assert float(solver.graph.value(solver.grand())) == pytest.approx(oracles.by_ortools(problem))


@pytest.mark.parametrize(
    ("groups", "message"), [([(0, 1), (1, 2)], "belongs to two"), ([(0,), ()], "Player 1 has no position")]
)
def test_groups_that_are_no_players(groups: list[tuple[int, ...]], message: str) -> None:
    network = FlowNetwork.encoder(np.full((2, 3, 3), 0.25))
    with pytest.raises(NetworkError, match=message):
        Solver(network, 0, groups=groups)


def test_naming_a_player_twice_in_a_coalition_changes_nothing() -> None:
    solver = Solver(FlowNetwork.encoder(np.full((2, 3, 3), 0.25)), 0)
    assert solver.value([2, 0, 2, 0]) == solver.value([0, 2])


def test_capacities_changed_under_a_solved_network_are_refused() -> None:
    """Not an endless loop: edges that were there carry nothing."""
    A = np.full((2, 3, 3), 0.25)
    network = FlowNetwork.encoder(A)
    network.max_flow(target=0)
    for edges in network.edges:
        edges.capacity.setflags(write=True)
        edges.capacity[0] = 0
    with pytest.raises(SolverError, match="Capacities were changed"):
        Solver(network, 0).grand()


def test_infinite_edges_leave_an_infinite_amount() -> None:
    A = np.full((2, 3, 3), 0.5)
    A[0, 1:, 0] = np.inf
    out = Solver(FlowNetwork.encoder(A), 0).outgoing()
    assert out[0] == INFINITE
    assert 0 < out[1] < INFINITE


def test_scratch_grows_in_what_is_too_small() -> None:
    """Long ways need distances, not place for more edges."""
    n = 400
    window = 0.5 * np.eye(n) + 0.5 * np.eye(n, k=-1)
    network = FlowNetwork.decoder(np.stack([window] * 2), prompt=2, prefix="closed")
    solver = Solver(network, n - 1)
    edges = solver.board._edges
    assert solver.grand() > 0
    assert solver.board._edges == edges
    assert solver.board._distances > desk.DISTANCES * len(network.groups)


@pytest.mark.parametrize("table", [np.zeros(4, dtype=np.int32), np.zeros(8, dtype=np.int64)[::2]])
def test_tables_of_another_kind_are_refused(table: np.ndarray) -> None:
    """By what reads and by what writes: an unchecked place in them would be another entry's."""
    for loop in (lambda some: get(some, 0), lambda some: put(some, 0, 1)):
        with pytest.raises(TypingError, match="contiguous array of int64"):
            njit(loop)(table)
