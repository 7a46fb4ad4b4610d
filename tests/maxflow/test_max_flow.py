"""The solver against five other solvers, exact fractions, and its own certificate."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import networks
import oracles
from attnflow.errors import NetworkError, OptionError, SolverError
from attnflow.maxflow import MaxFlow, Solver
from attnflow.network import Block, FlowNetwork

ALL = sorted(networks.KINDS)
#: Oracles exact to float precision, on any capacities.
FLOATS = {"networkx": oracles.by_networkx, "igraph": oracles.by_igraph, "ortools": oracles.by_ortools}


def close(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def honest(flow: MaxFlow, true: Fraction) -> None:
    """The exact value lies within the stated bound of the value in units, and the float is that value."""
    found = Fraction(flow.units) / Fraction(2) ** flow.exponent
    assert abs(found - true) <= Fraction(flow.error_bound) * (1 + Fraction(1, 10**9))
    assert abs(Fraction(flow.value) - found) <= found / 2**52 + Fraction(5e-324)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("oracle", FLOATS)
def test_value_equals_other_solvers_on_every_kind(kind, oracle):
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        network = networks.KINDS[kind](rng, 2 + seed, 1 + seed % 3)
        target = int(rng.integers(network.size))
        flow = network.max_flow(target=target)
        assert flow.verify()
        close(flow.value, FLOATS[oracle](oracles.arcs(network, target)))


@pytest.mark.parametrize("kind", ALL)
def test_value_equals_scipy_exactly_on_quantised_capacities(kind):
    bits = 8 if "gradient" in kind else 22
    for seed in range(4):
        rng = np.random.default_rng([seed, 2])
        network = networks.quantised(networks.KINDS[kind](rng, 3 + seed, 1 + seed % 3), bits)
        target = int(rng.integers(network.size))
        flow = network.max_flow(target=target)
        assert flow.value == oracles.by_scipy(oracles.arcs(network, target), bits)
        assert flow.error_bound == 0


@pytest.mark.parametrize("kind", ALL)
def test_value_equals_other_solvers_at_full_size(kind):
    rng = np.random.default_rng(7)
    n = 128 if kind in ("encoder", "decoder closed") else 64
    network = networks.KINDS[kind](rng, n, 3)
    for target in (0, network.size // 2, network.size - 1):
        flow = network.max_flow(target=target)
        assert flow.verify()
        problem = oracles.arcs(network, target)
        close(flow.value, oracles.by_igraph(problem))
        close(flow.value, oracles.by_ortools(problem))


@given(st.data())
def test_coalitions_sets_and_weights(data):
    network = data.draw(networks.networks())
    players = data.draw(networks.coalitions_of(network))
    target = data.draw(networks.sets_of(network))
    weights = data.draw(st.none() | networks.shares(len(target)))
    flow = network.max_flow(players, target=target, weights=weights)
    assert flow.verify()
    problem = oracles.arcs(network, target, players, weights)
    close(flow.value, oracles.by_networkx(problem))
    close(flow.value, oracles.by_ortools(problem))


@given(st.data())
def test_groups_are_unions_of_their_members(data):
    network = data.draw(networks.networks())
    groups = data.draw(networks.groupings_of(network))
    target = data.draw(networks.sets_of(network))
    solver = Solver(network, target, groups=groups)
    joined = data.draw(st.lists(st.integers(0, len(groups) - 1), unique=True))
    members = [j for g in joined for j in groups[g]]
    value = float(solver.graph.value(solver.value(joined)))
    close(value, oracles.by_ortools(oracles.arcs(network, target, members)))
    assert value == network.max_flow(members, target=target).value


@given(st.data())
def test_every_value_a_solver_gives_is_the_same_game(data):
    """Singles, all but one, subsets and orders are four routes to one v."""
    network = data.draw(networks.networks(max_size=4) | networks.drawn())
    assume(len(network.players) <= 8)
    solver = Solver(network, data.draw(networks.targets_of(network)), threads=2)
    n, grand = solver.players, solver.grand()
    v = [solver.value([j for j in range(n) if number >> j & 1]) for number in range(1 << n)]
    assert solver.subsets(grand).tolist() == v
    assert solver.singles()[0].tolist() == [v[1 << j] for j in range(n)]
    assert solver.without(grand, solver.singles()[0]).tolist() == [
        v[(1 << n) - 1 - (1 << j)] for j in range(n)
    ]
    order = np.array([data.draw(st.permutations(range(n))) for _ in range(3)])
    joined = np.cumsum(1 << order, axis=1)
    for row, marginal in zip(order, solver.orders(order, grand)):
        numbers = [0, *np.cumsum(1 << row).tolist()]
        expected = [v[after] - v[before] for before, after in itertools.pairwise(numbers)]
        assert marginal[row].tolist() == expected
    assert (joined[:, -1] == (1 << n) - 1).all()


@given(networks.drawn() | networks.networks(max_size=4, max_depth=2), st.data())
def test_error_bound_is_honest(network, data):
    target = data.draw(networks.sets_of(network))
    flow = network.max_flow(target=target)
    assert flow.verify()
    true = oracles.exactly(oracles.arcs(network, target))
    honest(flow, true)
    assert flow.error_bound <= network._graph.error_bound * (1 + 1e-9)
    assert flow.error_bound <= 1e-9 * max(
        1.0, max(float(e.capacity[np.isfinite(e.capacity)].max(initial=0)) for e in network.edges)
    )


@given(st.sampled_from(sorted(networks.STOCHASTIC)), st.integers(0, 10**6), st.data())
def test_error_bound_is_honest_for_weighted_sets(kind, seed, data):
    network = networks.KINDS[kind](np.random.default_rng(seed), 4, 2)
    target = data.draw(networks.sets_of(network))
    weights = data.draw(networks.shares(len(target)))
    flow = network.max_flow(target=target, weights=weights)
    honest(flow, oracles.exactly(oracles.arcs(network, target, weights=weights)))


INFINITE = (0.0, 0.25, 1.0, np.inf)


@given(networks.drawn(entries=INFINITE), st.data())
def test_infinite_edges_are_unbounded_exactly_where_others_say_so(network, data):
    target = data.draw(networks.sets_of(network))
    problem = oracles.arcs(network, target)
    try:
        expected = oracles.exactly(problem)
    except oracles.UnboundedError:
        with pytest.raises(NetworkError, match=r"reached from player '.+' over infinite edges alone"):
            network.max_flow(target=target)
        return
    flow = network.max_flow(target=target)
    assert flow.verify()
    assert Fraction(flow.value) == expected
    assert np.isfinite(flow.value)


def test_unbounded_target_is_refused_by_name():
    C = np.array([[[np.inf, 0.5], [0.5, 0.5]]])
    network = FlowNetwork.encoder(C, tokens=["alpha", "beta"])
    with pytest.raises(NetworkError, match="Target position 0 is reached from player 'alpha'"):
        network.max_flow(target=0)
    assert network.max_flow(target=1).value == 1.0
    assert network.max_flow([1], target=0).value == 0.5  # alpha does not play
    assert network.max_flow(target=[0, 1], weights=[0.5, 0.5]).value == 1.0  # the weight bounds it


def test_negative_targets_count_from_the_end():
    network = networks.encoder(np.random.default_rng(0), 5, 2)
    assert network.max_flow(target=-1).positions == (4,)
    assert network.max_flow([0, 2], target=-2).value == network.max_flow([2, 0], target=3).value


# -- the certificate -----------------------------------------------------------------------------------


@given(networks.networks() | networks.drawn(), st.data())
def test_certificate(network, data):
    """Recomputed here from the public fields: capacities, conservation, cut = value."""
    target = data.draw(networks.sets_of(network))
    players = data.draw(networks.coalitions_of(network))
    flow = network.max_flow(players, target=target)
    assert flow.verify()
    net = [np.zeros(group.size) for group in network.groups]
    crossing = 0.0
    problem_own = network.own if network.own is not None else None
    tiny = 1e-9 * max(1.0, flow.value) + flow.error_bound
    for part, amount, cut in zip(network.edges, flow.flows, flow.cut):
        capacity = np.array(part.capacity, dtype=np.float64)
        if problem_own is not None and part.source == network.input_group(network.groups[-1].stack):
            for position in target:
                capacity[position, position] = problem_own[position]
        assert amount.shape == part.capacity.shape
        assert amount.min(initial=0) >= 0
        assert (amount <= capacity + tiny).all()
        assert cut.shape == part.capacity.shape
        crossing += float(capacity[cut].sum())
        for index in np.ndindex(amount.shape):
            tail = index[1] if isinstance(part, Block) else part.first + index[0]
            head = index[0] if isinstance(part, Block) else tail + part.shift
            net[part.source][tail] -= amount[index]
            net[part.target][head] += amount[index]
    sending = {node for j in players for node in network.players[j].nodes}
    for group, excess in zip(network.groups, net):
        for position, amount in enumerate(excess):
            if group is network.groups[-1] and position in target:
                assert amount >= -tiny
            elif group.layer == 0 and (group.stack, position) in sending:
                assert amount <= tiny
            else:
                assert amount == pytest.approx(0, abs=tiny)
    assert crossing == pytest.approx(flow.value, rel=1e-9, abs=tiny)
    assert net[-1][list(target)].sum() == pytest.approx(flow.value, rel=1e-9, abs=tiny)
    assert flow.outflow.sum() == pytest.approx(flow.value, rel=1e-9, abs=tiny)
    assert (flow.outflow[[j for j in range(len(network.players)) if j not in players]] == 0).all()


@pytest.fixture(params=["encoder", "decoder closed", "encoder-decoder", "encoder open"])
def solved(request) -> MaxFlow:
    network = networks.KINDS[request.param](np.random.default_rng(5), 5, 2)
    flow = network.max_flow(target=network.size - 1)
    assert flow.verify()
    assert flow.units > 0
    return flow


def _changed(flow: MaxFlow, part: int, change) -> MaxFlow:
    units = [part.copy() for part in flow.edge_units]
    change(units[part])
    return replace(flow, edge_units=tuple(units))


def _some_edge(flow: MaxFlow) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(flow.edge_units[0] > 0)[0])


def test_tampering_with_the_value_is_caught(solved):
    for wrong in (solved.units + 1, solved.units - 1, 0, 2 * solved.units):
        with pytest.raises(SolverError, match=r"The target receives \d+ units, not the stated"):
            replace(solved, units=wrong).verify()


def test_tampering_with_a_flow_is_caught(solved):
    at = _some_edge(solved)
    for part in range(len(solved.edge_units)):
        for delta in (1, -1):

            def bump(units, delta=delta):
                units[(0,) * units.ndim] += delta

            with pytest.raises(SolverError, match=r"not conserved|exceeds a capacity|receives"):
                _changed(solved, part, bump).verify()
    with pytest.raises(SolverError, match="exceeds a capacity between"):
        _changed(solved, 0, lambda units: units.__setitem__(at, -1)).verify()


def test_a_flow_above_its_capacity_is_caught(solved):
    units = [part.copy() for part in solved.edge_units]
    capacity = solved._capacity[-1]
    at = tuple(int(i) for i in np.argwhere((capacity < 1 << 60) & (capacity >= 0))[0])
    units[-1][at] = capacity[at] + 1
    with pytest.raises(SolverError, match="exceeds a capacity"):
        replace(solved, edge_units=tuple(units)).verify()


def test_a_flow_that_is_not_maximal_is_caught(solved):
    nothing = tuple(np.zeros_like(part) for part in solved.edge_units)
    with pytest.raises(SolverError, match="minimum cut has capacity"):
        replace(solved, edge_units=nothing, units=0).verify()


def test_tampering_with_the_cut_is_caught(solved):
    """Moving any one node across the cut makes it larger, or leaves it another minimum cut."""
    caught = 0
    for g, side in enumerate(solved.side):
        for position in range(side.size):
            moved = side.copy()
            moved[position] ^= True
            sides = tuple(moved if h == g else other for h, other in enumerate(solved.side))
            try:
                replace(solved, side=sides).verify()
            except SolverError as error:
                assert "cut has capacity" in str(error)  # noqa: PT017
                caught += 1
    assert caught > 0
    for constant in (True, False):
        sides = tuple(np.full_like(side, constant) for side in solved.side)
        with pytest.raises(SolverError, match="cut has capacity"):
            replace(solved, side=sides).verify()


def test_tampering_with_players_and_target_is_caught(solved):
    sending = int(np.argmax(solved.outflow))
    fewer = tuple(j for j in solved.players if j != sending)
    with pytest.raises(SolverError, match="not conserved"):
        replace(solved, players=fewer).verify()
    with pytest.raises(SolverError, match="not conserved"):
        replace(solved, supply={sending: 0}).verify()
    with pytest.raises(SolverError, match=r"not conserved|receives|exceeds"):
        replace(solved, positions=(0,)).verify()
    with pytest.raises(SolverError, match=r"receives \d+ units of at most 0"):
        replace(solved, demand=(0,)).verify()


def test_tampering_with_the_scale_is_caught(solved):
    with pytest.raises(SolverError):
        replace(solved, exponent=solved.exponent + 1).verify()


# -- refusals ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> FlowNetwork:
    return networks.encoder(np.random.default_rng(1), 4, 2)


@pytest.mark.parametrize("target", [4, -5, 100, [0, 4], [-5]])
def test_target_out_of_range(small, target):
    with pytest.raises(NetworkError, match=r"Target -?\d+ is out of range: expected -4 to 3"):
        small.max_flow(target=target)


@pytest.mark.parametrize("target", [True, "0", [0.5], [None], 0.5, None])
def test_target_is_no_position(small, target):
    with pytest.raises(NetworkError, match="expected a position"):
        small.max_flow(target=target)


@pytest.mark.parametrize("target", [[1, 1], [0, -4]])
def test_target_repeated(small, target):
    with pytest.raises(NetworkError, match="names a position twice"):
        small.max_flow(target=target)


def test_target_empty(small):
    with pytest.raises(NetworkError, match="empty set of positions is no target"):
        small.max_flow(target=[])


@pytest.mark.parametrize("players", [[4], [0, 17], [-1]])
def test_player_out_of_range(small, players):
    with pytest.raises(NetworkError, match=r"Player -?\d+: expected an index from 0 to 3"):
        small.max_flow(players, target=0)


@pytest.mark.parametrize("players", [[0.5], [True]])
def test_player_is_no_index(small, players):
    with pytest.raises(NetworkError, match=r"expected an index from 0 to 3"):
        small.max_flow(players, target=0)


def test_player_repeated(small):
    with pytest.raises(NetworkError, match="names a player twice"):
        small.max_flow([1, 2, 1], target=0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "Found 1 weights for 2 target positions"),
        ([0.5, 0.25, 0.25], "Found 3 weights for 2"),
        ([0.5, 0.6], "sum to 1; found a sum of 1.1"),
        ([0.0, 0.0], "found a sum of 0"),
        ([1.5, -0.5], "from 0 up"),
        ([np.nan, 1.0], "finite"),
        ([np.inf, 0.0], "finite"),
        ([[0.5, 0.5]], "weights for 2"),
    ],
)
def test_wrong_weights(small, weights, message):
    with pytest.raises(NetworkError, match=message):
        small.max_flow(target=[0, 1], weights=weights)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_wrong_threads(small, threads):
    with pytest.raises(OptionError, match="expected a positive integer"):
        Solver(small, 0, threads=threads)


def test_no_players_send_nothing(small):
    flow = small.max_flow([], target=0)
    assert flow.value == 0
    assert flow.verify()
    assert not any(part.any() for part in flow.edge_units)


# -- extremes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e300, 1e30, 1e9, 1.0, 1e-9, 1e-30, 1e-280])
@pytest.mark.parametrize("kind", ["encoder", "decoder closed", "encoder sinks"])
def test_every_magnitude(kind, scale):
    """Scaling every capacity scales the value, whatever the magnitude."""
    base = networks.KINDS[kind](np.random.default_rng(3), 6, 3)
    edges = tuple(replace(part, capacity=part.capacity * scale) for part in base.edges)
    network = replace(base, edges=edges)
    flow = network.max_flow(target=-1)
    assert flow.verify()
    assert flow.value == pytest.approx(scale * base.max_flow(target=-1).value, rel=1e-9)
    assert flow.error_bound <= 1e-9 * scale


def test_magnitudes_beyond_float_are_still_bounded_honestly():
    C = np.full((2, 3, 3), 5e-324)
    C[1] = 1e-300
    flow = FlowNetwork.encoder(C).max_flow(target=0)
    assert flow.verify()
    assert abs(flow.value - 4.5e-323) <= flow.error_bound


def test_huge_next_to_tiny():
    C = np.array([[[1e300, 1e-300], [1e-300, 1e300]], [[1e300, 1e-300], [1e-300, 1e300]]])
    flow = FlowNetwork.encoder(C).max_flow(target=0)
    assert flow.verify()
    assert flow.value == pytest.approx(1e300, rel=1e-9)
    honest(flow, oracles.exactly(oracles.arcs(flow.network, 0)))


def test_a_tiny_capacity_is_an_edge_still():
    C = np.array([[[1.0, 0.0], [1e-300, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    flow = FlowNetwork.encoder(C).max_flow([0], target=1)
    assert flow.units == 1
    assert 1e-300 <= flow.value <= 1e-15
    assert abs(flow.value - 1e-300) <= flow.error_bound


def test_all_zero():
    for network in (
        FlowNetwork.encoder(np.zeros((2, 3, 3))),
        FlowNetwork.decoder(np.zeros((2, 3, 3)), prompt=1, prefix="closed"),
        FlowNetwork.encoder_decoder(
            np.zeros((1, 2, 2)), np.zeros((1, 3, 3)), np.zeros((1, 3, 2)), cross_residual=0.0
        ),
    ):
        flow = network.max_flow(target=0)
        assert flow.value == 0
        assert flow.error_bound == 0
        assert flow.verify()


def test_totals_beyond_the_largest_float_are_refused():
    with pytest.raises(NetworkError, match="capacit"):
        FlowNetwork.encoder(np.full((2, 4, 4), 1e308)).max_flow(target=0).verify()


@pytest.mark.parametrize("scale", [1e-3, 1e-4, 1e-9, 1e-300])
def test_weights_do_not_overflow_beside_small_capacities(scale):
    C = scale * np.random.default_rng(0).random((2, 4, 4))
    network = FlowNetwork.encoder(C)
    flow = network.max_flow(target=[0, 1], weights=[0.5, 0.5])
    assert flow.verify()
    assert flow.value == pytest.approx(network.max_flow(target=[0, 1]).value, rel=1e-9)


def test_weights_are_honest_beside_large_capacities():
    C = 1e300 * (1 + np.random.default_rng(0).random((2, 4, 4)))
    flow = FlowNetwork.encoder(C).max_flow(target=[0, 1], weights=[0.5, 0.5])
    assert flow.verify()
    assert abs(flow.value - 1.0) <= flow.error_bound


def test_float32_capacities_are_taken_as_they_are():
    C = networks.softmax(np.random.default_rng(2), 3, 6, 6).astype(np.float32)
    narrow, wide = FlowNetwork.encoder(C), FlowNetwork.encoder(C.astype(np.float64))
    for target in range(6):
        assert narrow.max_flow(target=target).value == wide.max_flow(target=target).value
    assert all(part.capacity.dtype == np.float32 for part in narrow.edges)


@pytest.mark.slow
def test_large_random_networks():
    """A realistic size: 256 positions, 6 layers, every third target."""
    rng = np.random.default_rng(11)
    network = FlowNetwork.encoder(networks.merged(networks.softmax(rng, 6, 256, 256)))
    for target in range(0, 256, 64):
        assert network.max_flow(target=target).verify()
        problem = oracles.arcs(network, target, [target])
        close(network.max_flow([target], target=target).value, oracles.by_ortools(problem))


@given(networks.networks(sorted(networks.STOCHASTIC)))
def test_capacities_are_rounded_to_the_nearest_unit(network):
    assert network._graph.rounding <= 0.5
    for part, units in zip(network.edges, network.max_flow(target=0)._capacity):
        finite = np.isfinite(part.capacity)
        exact = np.ldexp(part.capacity[finite].astype(np.float64), network._graph.exponent)
        assert (np.abs(units[finite] - exact) <= 0.5).all()
        assert ((units[finite] == 0) == (exact == 0)).all()


# -- flows that have to be taken back --------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("joined", [0, 1])
def test_flow_is_taken_back_through_a_link(depth, joined):
    """The decoder's unit can go by two nodes of layer 2, the source's only by one of them.

    If the decoder's took that one first, it must be redirected, back through D' -> D.
    """
    layers = np.zeros((3, 2, 2))
    layers[0, 0, 0] = layers[1, 0, 0] = layers[1, 1, 0] = layers[2, 1, 0] = layers[2, 1, 1] = 1
    cross = np.zeros((3, 2, 1))
    cross[1, joined, 0] = 1
    network = FlowNetwork.encoder_decoder(np.ones((depth, 1, 1)), layers, cross, cross_residual=None)
    flow = network.max_flow(target=1)
    assert flow.verify()
    assert flow.value == 2
    solver = Solver(network, 1)
    order = np.array([[1, 0, 2], [0, 1, 2], [2, 1, 0]])
    assert (solver.graph.value(solver.orders(order, solver.grand())) == [1, 1, 0]).all()


def test_sparse_unit_networks_in_every_order():
    """Unit capacities and few edges, so that most flows have to be redirected to become maximal."""
    rng = np.random.default_rng(0)

    def units(*shape: int) -> np.ndarray:
        return (rng.random(shape) < 0.45).astype(float)

    for number in range(150):
        n, m = rng.integers(2, 5, 2)
        below, depth = rng.integers(1, 5, 2)
        decoder = np.tril(units(depth, m, m))
        prefix = ("players", "closed")[number % 2]
        if number % 3 == 0:
            network = FlowNetwork.encoder(units(depth, n, n))
        elif number % 3 == 1:
            network = FlowNetwork.decoder(decoder, prompt=int(rng.integers(1, m + 1)), prefix=prefix)
        else:
            network = FlowNetwork.encoder_decoder(
                units(below, n, n),
                decoder,
                units(depth, m, n),
                cross_residual=[None, 1.0][number % 4 // 2],
                prefix=prefix,
                prompt=int(rng.integers(1, m + 1)),
            )
        target = network.size - 1
        solver = Solver(network, target)
        order = rng.permuted(np.tile(np.arange(solver.players), (4, 1)), axis=1)
        marginal = solver.graph.value(solver.orders(order, solver.grand()))
        assert network.max_flow(target=target).verify()
        for row, gained in zip(order, marginal):
            before = 0.0
            for place, j in enumerate(row.tolist()):
                value = oracles.by_ortools(oracles.arcs(network, target, row[: place + 1].tolist()))
                assert gained[j] == value - before
                before = value
