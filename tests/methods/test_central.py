"""The central maximum flow, against cvxpy in every edge, against hand-solved networks, and against itself."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from fractions import Fraction

import networkx
import numpy as np
import pytest
from ortools.graph.python import max_flow as ortools_max_flow  # isort: split

# ortools comes before cvxpy: their copies of one library clash otherwise.
import cvxpy as cp
from numpy.typing import NDArray

import oracles
from attnflow.attribution import Attribution
from attnflow.barrier import central as central_module
from attnflow.barrier.laplacian import factorise, pattern
from attnflow.errors import NetworkError, OptionError, SolverError
from attnflow.maxflow import Solver
from attnflow.methods import METHODS, attribute
from attnflow.methods.central import central_flow
from attnflow.network import Block, FlowNetwork
from attnflow.storage import from_dict
from networks import KINDS, STOCHASTIC, gradient_like, merged, relabelled, softmax

Floats = NDArray[np.float64]


# -- an independent solution ---------------------------------------------------------------------------


def central_by_cvxpy(problem: oracles.Arcs, mu: float | None) -> Floats:
    """The central flow from its definition: per arc of `problem`, by cvxpy with Clarabel."""
    tails, heads, capacity = problem.tails, problem.heads, problem.capacity
    graph = networkx.DiGraph(list(zip(tails.tolist(), heads.tolist())))
    graph.add_nodes_from([problem.source, problem.sink])
    ahead = networkx.descendants(graph, problem.source) | {problem.source}
    behind = networkx.ancestors(graph, problem.sink) | {problem.sink}
    live = [e for e in range(capacity.size) if int(tails[e]) in ahead and int(heads[e]) in behind]
    flow = np.zeros(capacity.size)
    if not live:
        return flow
    supply = np.zeros(problem.nodes)
    chosen = np.array(live)
    if mu is None:
        units, most, scale = _integer_flow(problem, chosen)
        residual = networkx.DiGraph()
        for e in live:
            if units[e] < most[e]:
                residual.add_edge(int(tails[e]), int(heads[e]))
            if units[e] > 0:
                residual.add_edge(int(heads[e]), int(tails[e]))
        component = {
            node: number
            for number, nodes in enumerate(networkx.strongly_connected_components(residual))
            for node in nodes
        }
        varies = np.array([component[int(tails[e])] == component[int(heads[e])] for e in live])
        for e in chosen[~varies]:
            flow[e] = units[e] / scale
            supply[tails[e]] -= flow[e]
            supply[heads[e]] += flow[e]
        chosen = chosen[varies]
    if not chosen.size:
        return flow
    t, h, c = tails[chosen], heads[chosen], capacity[chosen]
    inner = [
        node for node in sorted({*t.tolist(), *h.tolist()}) if node not in (problem.source, problem.sink)
    ]
    balance = np.zeros((problem.nodes, chosen.size))
    balance[t, np.arange(chosen.size)] += 1
    balance[h, np.arange(chosen.size)] -= 1
    unit = _sizes(problem, t, h, c, supply)
    finite = np.isfinite(c)
    x = cp.Variable(chosen.size)
    objective = 0
    if finite.any():
        i = np.flatnonzero(finite)
        objective += cp.sum(cp.log(x[i])) + cp.sum(cp.log(1 - cp.multiply(unit[i] / c[i], x[i])))
    constraints = [x[np.flatnonzero(~finite)] >= 0] if not finite.all() else []
    rows = balance[inner] * unit
    size = np.abs(rows).max(axis=1, initial=0)
    rows, due = rows / size[:, None], supply[inner] / size
    if inner:
        constraints.append(rows @ x == due)
    if mu is not None:
        objective += (balance[problem.source] * unit) @ x / mu
    solved = cp.Problem(cp.Maximize(objective), constraints)
    with warnings.catch_warnings():  # of its own accuracy: the comparison decides
        warnings.simplefilter("ignore", UserWarning)
        solved.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12, max_iter=500)
    assert solved.status in ("optimal", "optimal_inaccurate"), solved.status
    flow[chosen] = x.value * unit
    if mu is None:
        flow[chosen] = _last_digits(x.value, unit / c, rows, due) * unit
    return flow


def _last_digits(x: Floats, share: Floats, rows: Floats, due: Floats) -> Floats:
    """The maximum of sum log x + log(1 - share x) with rows x = due, from an answer good to some 1e-6.

    A sum of logarithms is so flat at its maximum that a gap of 1e-12 leaves errors of 1e-6; two of Newton's
    steps on the conditions of the maximum leave rounding. Arcs without capacity (share 0) stay at 0 if there.
    """
    x = x.copy()
    x[(share == 0) & (x < 1e-6)] = 0.0
    free = x > 0
    A, s, barrier = rows[:, free], share[free], share[free] > 0
    for _ in range(2):
        y = x[free]
        full = s / (1 - s * y)
        slope = np.where(barrier, 1 / y - full, 0.0)
        unit = np.where(barrier, 1 / np.sqrt(1 / y**2 + full**2), 1.0)  # in which the curvature is 1
        scaled = A * unit
        size = np.abs(scaled).max(axis=1, keepdims=True, initial=1e-300)
        scaled /= size
        system = np.block([[np.diag(1.0 * barrier), scaled.T], [scaled, np.zeros((len(A), len(A)))]])
        right = np.concatenate([slope * unit, (due - A @ y) / size.ravel()])
        x[free] = y + unit * np.linalg.lstsq(system, right, rcond=None)[0][: y.size]
    return x


def _integer_flow(problem: oracles.Arcs, live: NDArray[np.int64]) -> tuple[list[int], list[int], float]:
    """A maximum flow by ortools in integer units, the capacities in units, and the units in 1."""
    finite = problem.finite[live]
    total = float(problem.capacity[live][finite].sum())
    bits = 61 - math.frexp(total)[1] - int((~finite).sum() + 1).bit_length()
    some = np.rint(np.ldexp(np.where(finite, problem.capacity[live], 0.0), bits)).astype(np.int64)
    some = np.where(finite, np.maximum(some, 1), int(some.sum()) + 1)
    solver = ortools_max_flow.SimpleMaxFlow()
    solver.add_arcs_with_capacity(
        problem.tails[live].astype(np.int32), problem.heads[live].astype(np.int32), some
    )
    assert solver.solve(problem.source, problem.sink) == solver.OPTIMAL
    units, most = [0] * problem.capacity.size, [0] * problem.capacity.size
    for arc, e in enumerate(live.tolist()):
        units[e], most[e] = solver.flow(arc), int(some[arc])
    return units, most, math.ldexp(1.0, bits)


def _sizes(problem: oracles.Arcs, t: NDArray, h: NDArray, c: Floats, supply: Floats) -> Floats:
    """Per arc a bound on its flow, so that cvxpy sees numbers of similar size."""
    unit = c.copy()
    for _ in range(30):
        out, into = (np.bincount(end, weights=unit, minlength=problem.nodes) for end in (t, h))
        most_out, most_in = into + supply, out - supply
        most_out[[problem.source, problem.sink]] = most_in[[problem.source, problem.sink]] = np.inf
        unit = np.minimum(unit, np.maximum(np.minimum(most_out[t], most_in[h]), 0))
    return np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)


def on_arcs(network: FlowNetwork, target: oracles.Target, flows: tuple[Floats, ...]) -> Floats:
    """Flows per block and link in the order of `oracles.arcs`."""
    positions = network.positions(target)
    found = []
    for part, flow in zip(network.edges, flows):
        capacity = np.array(part.capacity, dtype=np.float64)
        if network.own is not None and part.source == network.input_group(network.groups[-1].stack):
            capacity[positions, positions] = network.own[list(positions)]
        assert (flow[capacity == 0] == 0).all()
        found.append(flow.ravel()[capacity.ravel() > 0])
    return np.concatenate(found)


def a_case(kind: str, seed: int, size: int = 5, depth: int = 3):
    """A random network of a kind with a random target: one position, a set, or a weighted set."""
    rng = np.random.default_rng([seed, *kind.encode()])
    network = KINDS[kind](rng, int(rng.integers(2, size + 1)), int(rng.integers(1, depth + 1)))
    several = [int(p) for p in rng.permutation(network.size)[: rng.integers(1, network.size + 1)]]
    form = rng.integers(3)
    if form == 0 or len(several) < 2:
        return network, several[0], None
    weights = rng.random(len(several)) + 0.1
    return network, several, (tuple(weights / weights.sum()) if form == 2 else None)


def has_loop_of_infinite_edges(network: FlowNetwork, target: oracles.Target) -> bool:
    problem = oracles.arcs(network, target)
    graph = networkx.Graph()
    edges = [(int(t), int(h)) for t, h, f in zip(problem.tails, problem.heads, problem.finite) if not f]
    graph.add_edges_from(edges)
    return bool(edges) and not networkx.is_forest(graph)


# -- against cvxpy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_limit_matches_cvxpy_in_every_edge(kind: str, seed: int) -> None:
    network, target, weights = a_case(kind, seed)
    if kind == "encoder infinite edges" and has_loop_of_infinite_edges(network, target):
        try:
            central_flow(network, target, weights=weights)
        except NetworkError:  # unless the loop's edges cannot vary, or lead nowhere
            return
    found = central_flow(network, target, weights=weights)
    problem = oracles.arcs(network, target, weights=weights)
    expected = central_by_cvxpy(problem, None)
    ours = on_arcs(network, target, found.flows)
    assert np.abs(ours - expected[: ours.size]).max(initial=0) <= 1e-8 * max(found.value, 1e-300)
    assert found.gap <= 1e-12 * found.value


@pytest.mark.parametrize("mu", [3.0, 0.1, 1e-4])
@pytest.mark.parametrize(
    "kind",
    [
        "encoder",
        "encoder open",
        "encoder zero columns",
        "decoder closed",
        "decoder open",
        "encoder-decoder",
        "encoder-decoder closed",
        "encoder-decoder unscaled closed",
    ],
)
def test_finite_barrier_matches_cvxpy_in_every_edge(kind: str, mu: float) -> None:
    network, target, weights = a_case(kind, 7)
    found = central_flow(network, target, weights=weights, mu=mu)
    expected = central_by_cvxpy(oracles.arcs(network, target, weights=weights), mu)
    ours = on_arcs(network, target, found.flows)
    assert np.abs(ours - expected[: ours.size]).max(initial=0) <= 1e-6 * found.value


# -- by hand -------------------------------------------------------------------------------------------


def test_two_paths_of_different_capacity_by_hand() -> None:
    # One node must receive 1/2 over edges of capacity 1 and 1/2: x is the root of the balance of pulls.
    C = np.zeros((2, 2, 2))
    C[0, 0] = 1.0, 0.5
    C[1, 0, 0] = 0.5

    def pull(x: float) -> float:
        return (1 / x - 1 / (1 - x)) - (1 / (0.5 - x) - 1 / x)

    low, high = 1e-9, 0.5 - 1e-9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle) > 0 else (low, middle)
    result = attribute(FlowNetwork.encoder(C), method="central", targets=[0])
    assert result.scores[0] == pytest.approx([low, 0.5 - low], abs=1e-14)


@pytest.mark.parametrize("tiny", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_tiny_capacity_beside_one(tiny: float) -> None:
    # Both inputs reach node 0 of layer 1 over capacity 1; a tiny detour over node 1 is open to the second.
    C = np.zeros((2, 2, 2))
    C[0] = [[1.0, 1.0], [0.0, tiny]]
    C[1, 0] = 1.0, tiny
    found = central_flow(FlowNetwork.encoder(C), 0)
    assert found.flows[0][1, 1] == pytest.approx(tiny, rel=1e-3)  # every maximum flow fills it
    assert found.sent == pytest.approx([0.5, 0.5 + tiny], abs=1e-14)
    assert found.gap <= 1e-13


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("depth", [1, 4])
def test_equal_capacities_share_equally(n: int, depth: int) -> None:
    # Every layer is a minimum cut up to rounding: room is left only in the last digits.
    network = FlowNetwork.encoder(np.full((depth, n, n), 1 / n))
    for target in (0, list(range(n))):
        found = central_flow(network, target)
        assert found.sent == pytest.approx(np.full(n, np.size(target) / n), rel=1e-12)
        assert found.gap <= 1e-11 * found.value


def test_weights_equal_to_what_arrives_up_to_rounding() -> None:
    network = KINDS["encoder sparse"](np.random.default_rng(5), 4, 3)
    for position in range(4):
        alone = central_flow(network, position)
        weighted = central_flow(network, [position], weights=[1.0])
        assert weighted.sent == pytest.approx(alone.sent, abs=1e-9)


def test_one_layer_is_the_row_itself() -> None:
    A = softmax(np.random.default_rng(0), 1, 6, 6)
    result = attribute(FlowNetwork.encoder(A), method="central", targets=[2])
    assert result.scores[0] == pytest.approx(A[0, 2], abs=1e-15)


def test_open_residual_edge_that_carries_nothing() -> None:
    # Node 1 of layer 1 can only pass on to layer 2, where more than enough arrives from elsewhere: flow
    # from layer 2 back would suit the sum, and may not be.
    C = np.zeros((3, 3, 3))
    C[0, 0, 1] = 1.0
    C[0, 1, 1] = np.inf
    C[1, 1, 1] = np.inf
    C[1, 1, 0] = 1.0
    C[1, 0, 1] = 1.0
    C[2, 2, 0] = 0.1
    C[2, 2, 1] = 0.9
    network = FlowNetwork.encoder(C)
    found = central_flow(network, 2)
    problem = oracles.arcs(network, 2)
    expected = central_by_cvxpy(problem, None)
    ours = on_arcs(network, 2, found.flows)
    assert ours == pytest.approx(expected[: ours.size], abs=1e-7)
    assert min(part.min() for part in found.flows) == 0.0


def test_loop_of_infinite_edges_is_refused() -> None:
    C = np.full((2, 2, 2), 0.5)
    C[0, 0] = np.inf  # both inputs reach one node over infinite edges: nothing says who sends
    network = FlowNetwork.encoder(C)
    for mu in (None, 0.1):
        with pytest.raises(NetworkError, match="loop"):
            central_flow(network, 0, mu=mu)


def test_nothing_reaches_the_target() -> None:
    C = np.zeros((2, 3, 3))
    C[0, 0, 0] = 1.0
    C[1, 1, 1] = 1.0
    for mu in (None, 1.0):
        result = attribute(FlowNetwork.encoder(C), method="central", targets=[0, 1], mu=mu)
        assert not result.scores.any()
        assert not result.gap.any()


# -- properties ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "depth"), [(1, 1), (1, 3), (6, 2), (14, 4)])
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"encoder infinite edges"}))
def test_splits_the_maximum_flow_inside_the_bounds(kind: str, n: int, depth: int) -> None:
    network = KINDS[kind](np.random.default_rng(11), n, depth)
    targets = [network.size - 1, list(range(0, network.size, 2))]
    result = attribute(network, method="central", targets=targets)
    slack = result.gap[:, None]
    assert (result.gap <= 1e-9 * result.total).all()
    assert (np.abs(result.scores.sum(axis=1) - result.total) <= result.gap + 1e-15 * result.total).all()
    assert (result.scores >= result.lower - slack).all()
    assert (result.scores <= result.upper + slack).all()
    assert (result.scores[result.upper == 0] == 0).all()
    for target in targets:
        flow = result.realize(target)
        assert flow.verify()
        row = result.targets.index(
            next(t for t in result.targets if t.positions == network.positions(target))
        )
        assert flow.value == result.total[row]
        sent = flow.outflow
        # caps are scores plus the gap, in whole units and a few more
        above = result.gap[row] + math.ldexp(8, -flow.exponent) + 1e-15 * flow.value
        assert np.abs(sent - result.scores[row]).max() <= sent.size * above


@pytest.mark.parametrize(
    "kind", ["encoder", "encoder open", "decoder closed", "encoder-decoder unscaled closed"]
)
def test_flow_is_conserved_and_its_pulls_are_potential_differences(kind: str) -> None:
    # The optimality conditions, checked from the flow alone: on edges that differ between maximum flows,
    # 1 / f - 1 / (c - f) sums to 0 round every loop.
    network = KINDS[kind](np.random.default_rng(3), 12, 3)
    target = network.size - 1
    found = central_flow(network, target)
    problem = oracles.arcs(network, target)
    flow = on_arcs(network, target, found.flows)
    tails, heads, capacity = (a[: flow.size] for a in (problem.tails, problem.heads, problem.capacity))
    assert (flow >= 0).all()
    assert (flow <= capacity + 1e-15).all()
    net = np.bincount(heads, weights=flow, minlength=problem.nodes) - np.bincount(
        tails, weights=flow, minlength=problem.nodes
    )
    fed = set(problem.heads[problem.tails == problem.source].tolist())
    ends = set(problem.tails[problem.heads == problem.sink].tolist())
    inner = [node for node in range(problem.source) if node not in fed | ends]
    assert np.abs(net[inner]).max() <= found.gap
    inside = (flow > 1e-5) & (flow < capacity * (1 - 1e-5))
    assert inside.sum() > 50
    graph = networkx.Graph()  # supersource and players' nodes are one
    at = {node: problem.source if node in fed else node for node in range(problem.nodes)}
    pull = 1 / flow[inside] - 1 / (capacity[inside] - flow[inside])
    pull[np.isinf(capacity[inside])] = 0  # what carries flow and has no term of the sum pulls at nothing
    potential: dict[int, float] = {}
    edges = [(at[int(t)], at[int(h)], p) for t, h, p in zip(tails[inside], heads[inside], pull)]
    graph.add_edges_from((t, h) for t, h, _ in edges)
    step = {(t, h): p for t, h, p in edges} | {(h, t): -p for t, h, p in edges}
    for nodes in networkx.connected_components(graph):
        root = min(nodes)
        potential[root] = 0.0
        for a, b in networkx.bfs_edges(graph, root):
            potential[b] = potential[a] - step[a, b]
    for t, h, p in edges:
        assert potential[t] - potential[h] == pytest.approx(p, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", ["encoder", "encoder ties", "encoder zero columns", "encoder gradient"])
@pytest.mark.parametrize("mu", [None, 0.05])
def test_relabelling_positions_relabels_scores(kind: str, mu: float | None) -> None:
    rng = np.random.default_rng(4)
    network = KINDS[kind](rng, 7, 3)
    orders = [rng.permutation(7) for _ in network.groups]
    before = attribute(network, method="central", targets=[orders[-1][2]], mu=mu, bounds=False)
    after = attribute(relabelled(network, orders), method="central", targets=[2], mu=mu, bounds=False)
    assert np.abs(after.scores[0] - before.scores[0][orders[0]]).max() <= before.gap[0] + after.gap[0]


def test_groups_of_players_score_the_sum_of_their_members() -> None:
    network = KINDS["encoder-decoder closed"](np.random.default_rng(8), 6, 2)
    count = len(network.players)
    groups = [[0, 3], [1], list(range(4, count))]
    single = attribute(
        network, method="central", targets=[-1], players=[[0], [3], [1], *[[j] for j in range(4, count)]]
    )
    grouped = attribute(network, method="central", targets=[-1], players=groups)
    sums = [single.scores[0, :2].sum(), single.scores[0, 2], single.scores[0, 3:].sum()]
    assert grouped.scores[0] == pytest.approx(sums, abs=1e-12)
    flow = grouped.realize()
    assert flow.verify()
    assert flow.outflow == pytest.approx(grouped.scores[0], abs=1e-12)


def test_excluded_player_supplies_nothing() -> None:
    network = KINDS["encoder"](np.random.default_rng(9), 5, 2)
    result = attribute(network, method="central", targets=[0], exclude=[0])
    direct = central_flow(network, 0, players=[[j] for j in range(1, 5)])
    assert result.scores[0] == pytest.approx(direct.sent, abs=1e-14)
    assert result.scores.sum() == pytest.approx(result.total[0], abs=2 * result.gap[0])


def test_finite_barrier_falls_short_and_tends_to_the_limit() -> None:
    # Generalized Attention Flow: positive parts of attention times gradient, every position a target.
    network = FlowNetwork.encoder(np.maximum(0, np.random.default_rng(2).normal(size=(3, 8, 8))))
    target = list(range(8))
    limit = attribute(network, method="central", targets=[target])
    total = limit.total[0]
    distance = []
    for mu in (1.0, 1e-2, 1e-4, 1e-6):
        result = attribute(network, method="central", targets=[target], mu=mu)
        assert result.scores.sum() < result.total[0] == total
        assert result.gap[0] <= 1e-12 * total
        assert any("mu" in note for note in result.notes)
        assert result.provenance["options"]["mu"] == mu
        distance.append(np.abs(result.scores - limit.scores).max())
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 1e-4 * total
    with pytest.raises(OptionError, match="finite barrier"):
        result.realize(target)


def test_every_row_stochastic_single_target_is_shared_out() -> None:
    for kind in sorted(STOCHASTIC):
        network = KINDS[kind](np.random.default_rng(21), 9, 2)
        result = attribute(network, method="central", targets=[-1], bounds=False)
        assert result.scores.sum() == pytest.approx(1, abs=1e-9), kind


def test_float64_that_does_not_suffice_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central_module, "TOLERANCE", 1e-17)
    with pytest.raises(SolverError, match="orders of magnitude"):
        central_flow(FlowNetwork.encoder(merged(softmax(np.random.default_rng(0), 2, 4, 4))), 0)


def test_open_residual_with_sharp_attention_is_certified() -> None:
    from attnflow.trace import Trace

    rng = np.random.default_rng(1)
    for sharpness in (1.5, 6.0, 12.0):
        trace = Trace.from_arrays(softmax(rng, 4, 16, 16, sharpness=sharpness))
        network = FlowNetwork.from_trace(trace, residual="open")
        for target in (3, [0, 5, 9]):
            found = central_flow(network, target)
            total = network.max_flow(target=target).value
            assert found.gap <= 1e-10 * total
            assert found.sent.sum() == pytest.approx(total, abs=found.gap + 1e-15)


def test_threads_do_not_change_the_answer() -> None:
    network = KINDS["encoder"](np.random.default_rng(5), 10, 3)
    one, two = (attribute(network, method="central", targets=[0], threads=k) for k in (1, 2))
    assert (one.scores == two.scores).all()


# -- options and results -------------------------------------------------------------------------------


def test_mu_is_checked() -> None:
    network = KINDS["encoder"](np.random.default_rng(0), 3, 2)
    for mu in (0, -1.0, math.inf, math.nan, True, "0.1"):
        with pytest.raises(OptionError, match="mu="):
            attribute(network, method="central", targets=[0], mu=mu)
    for method in sorted(set(METHODS) - {"central"}):
        with pytest.raises(OptionError, match="no barrier"):
            attribute(network, method=method, targets=[0], mu=0.1)


def test_gap_is_kept_through_slices_stacks_and_files() -> None:
    network = KINDS["encoder"](np.random.default_rng(0), 5, 2)
    result = attribute(network, method="central", targets=[0, 1, [2, 3]])
    assert result.gap.shape == (3,)
    assert result[1].gap == result.gap[1:2]
    both = Attribution.concat([result[:1], result[1:]])
    assert (both.gap == result.gap).all()
    again = from_dict(json.loads(json.dumps(result.to_dict())))
    assert (again.gap == result.gap).all()
    assert attribute(network, method="shapley", targets=[0]).gap is None


def test_progress_is_reported() -> None:
    seen = []
    network = KINDS["encoder"](np.random.default_rng(0), 5, 2)
    attribute(network, method="central", targets=[0], progress=lambda *step: seen.append(step), bounds=False)
    assert any(stage == "Newton steps" for stage, _, _ in seen)


# -- the Laplacian -------------------------------------------------------------------------------------


def exactly_solved(W: list[list[Fraction]], excess: list[Fraction], right: list[Fraction]) -> list[Fraction]:
    n = len(right)
    M = [[-W[i][j] for j in range(n)] for i in range(n)]
    for i in range(n):
        M[i][i] = excess[i] + sum(W[i][j] for j in range(n) if j != i)
    x = list(right)
    for k in range(n):
        for i in range(k + 1, n):
            share = M[i][k] / M[k][k]
            M[i] = [a - share * b for a, b in zip(M[i], M[k])]
            x[i] -= share * x[k]
    for k in reversed(range(n)):
        x[k] = (x[k] - sum(M[k][j] * x[j] for j in range(k + 1, n))) / M[k][k]
    return x


@pytest.mark.parametrize("sizes", [(3,), (2, 3, 2), (1, 4, 0, 3)])
def test_laplacian_keeps_every_digit_whatever_the_condition(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    block = np.repeat(np.arange(len(sizes)), sizes)
    n = block.size
    W = np.triu(10.0 ** rng.uniform(-40, 0, (n, n)), 1)
    W[np.abs(block[:, None] - block[None, :]) > 2] = 0
    excess = np.zeros(n)
    excess[0] = 1e-30
    pairs = [
        (a, b) for a, b in itertools.combinations(range(len(sizes)), 2) if W[block == a][:, block == b].any()
    ]
    plan = pattern(np.array(sizes), pairs)
    i, j = (ends.astype(np.int32) for ends in np.nonzero(W))
    entries = np.zeros(plan.size)
    entries[plan.place(block, i, j)] = W[i, j]
    right = rng.random(n)
    solved = factorise(plan, entries, excess.copy()).solve(right)
    both = [[Fraction(W[a, b]) + Fraction(W[b, a]) for b in range(n)] for a in range(n)]
    exact = exactly_solved(both, [Fraction(e) for e in excess], [Fraction(r) for r in right])
    for mine, true in zip(solved, exact):
        assert abs(Fraction(mine) - true) <= Fraction(1, 10**13) * abs(true)


def test_empty_blocks_and_matchings_change_nothing() -> None:
    # As between self- and cross-attention: block 1 meets block 0 in every node, block 2 in single ones.
    rng = np.random.default_rng(2)
    sizes = np.array([5, 6, 6, 4])
    block = np.repeat(np.arange(4), sizes)
    W = np.zeros((21, 21))
    W[:5, 5:11] = rng.random((5, 6))
    rows, columns = np.array([0, 1, 2, 4, 5]), np.array([1, 0, 3, 5, 2])
    W[5 + rows, 11 + columns] = rng.random(5)
    W[11:17, 17:] = rng.random((6, 4))
    excess = rng.random(21)
    pairs = [(0, 1), (1, 2), (2, 3)]
    right = rng.normal(size=21)
    M = np.diag(excess + (W + W.T).sum(axis=1)) - W - W.T
    i, j = (ends.astype(np.int32) for ends in np.nonzero(W))
    for plan in (
        pattern(sizes, pairs, range(4), {(1, 2): (rows, columns)}),
        pattern(sizes, pairs, range(4)),
        pattern(sizes, pairs),
    ):
        entries = np.zeros(plan.size)
        entries[plan.place(block, j, i)] = W[i, j]
        solved = factorise(plan, entries, excess.copy()).solve(right)
        assert solved == pytest.approx(np.linalg.solve(M, right), rel=1e-12)


@pytest.mark.parametrize("n", [64, 65, 200])
def test_large_blocks_are_halved_consistently(n: int) -> None:
    rng = np.random.default_rng(1)
    W = np.triu(rng.random((n, n)), 1)
    excess = rng.random(n)
    plan = pattern(np.array([n]), [])
    M = np.diag(excess + (W + W.T).sum(axis=1)) - W - W.T
    right = rng.normal(size=n)
    solved = factorise(plan, W.ravel().copy(), excess.copy()).solve(right)
    assert solved == pytest.approx(np.linalg.solve(M, right), rel=1e-10)


def test_gradient_capacities_of_ten_orders_of_magnitude() -> None:
    rng = np.random.default_rng(12)
    for _ in range(5):
        network = FlowNetwork.encoder(gradient_like(rng, 3, 12, 12))
        solver = Solver(network, list(range(12)))
        total = float(solver.graph.value(solver.grand()))
        found = central_flow(network, list(range(12)))
        assert found.gap <= 1e-12 * total
        assert found.value == pytest.approx(total, abs=found.gap + 1e-15 * total)
        assert all(isinstance(part, Block) for part in network.edges)
