"""The central flow beside cvxpy's solvers, and at sizes that they do not reach.

cvxpy gets the easy half of the task: the edges that vary, with constant edges fixed and numbers scaled. Its gap
is the largest difference of any edge's flow from attnflow's, whose own certified gap stands beside it and is
far smaller. `python -m benchmarks.central SOLVER NETWORK N DEPTH` prints one rival's run as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from attnflow.methods.central import central_flow
from attnflow.network import FlowNetwork
from benchmarks import attention, flow
from benchmarks.measure import apart, once, timed
from benchmarks.rows import Row

#: Seconds that a rival may take.
LIMIT = 240.0
SOLVERS: dict[str, dict[str, float]] = {
    "CLARABEL": {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
    "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 20_000},
}


def rows(quick: bool) -> Iterator[Row]:
    central_flow(FlowNetwork.encoder(np.full((2, 2, 2), 0.5)), 0)
    if not quick:
        central_flow(attention.encoder(2, 300), 5)  # compiles what large blocks take
    yield from versus(
        "encoder, residual 0.5", 32 if quick else 64, 6, None, tuple(SOLVERS) if quick else ("CLARABEL",)
    )
    for name in NETWORKS:
        if not quick or name == "encoder, residual 0.5":
            yield from alone(name, 128, 6, None)
    if not quick:
        yield from versus("encoder, residual 0.5", 128, 6, 100, ("CLARABEL",))
        for name in NETWORKS:
            yield from alone(name, 512, 12, 60)
        yield from found("MiniLM, n=128, [CLS]", flow.minilm(128), 0)


def alone(name: str, n: int, depth: int, goal: float | None) -> Iterator[Row]:
    network, target = NETWORKS[name](n, depth)
    yield from found(f"{name}, n={n} x {depth}", network, target, goal, 3 if n < 512 else 1)


def found(
    case: str, network: FlowNetwork, target: int, goal: float | None = None, repeats: int = 3
) -> Iterator[Row]:
    network._graph  # noqa: B018 - lowered once for every method
    runs = timed(lambda: central_flow(network, target), repeats, 30)
    centre = runs.answer
    note = f"{centre.steps} Newton steps on nodes, gap {centre.gap / centre.value:.0e} of v(N)"
    yield Row(case, "attnflow, one thread", runs.median, "s", most=goal, note=note)


def versus(name: str, n: int, depth: int, goal: float | None, solvers: tuple[str, ...]) -> Iterator[Row]:
    network, target = NETWORKS[name](n, depth)
    case = f"{name}, n={n} x {depth}"
    network._graph  # noqa: B018
    before = timed(lambda: central_flow(network, target), 3, 30)
    theirs = {}
    for solver in solvers:
        answer = apart("benchmarks.central", solver, name, n, depth, limit=LIMIT)
        if answer is None:
            yield Row(case, f"cvxpy, {solver}", None, "s", note=f"stopped after {LIMIT:.0f} s")
            theirs[solver] = LIMIT
            continue
        yield Row(case, f"cvxpy, {solver}", answer["seconds"], "s", note=answer["note"])
        if answer["solved"]:
            theirs[solver] = answer["seconds"]
    again = timed(lambda: central_flow(network, target), 3, 30)
    own = min(before.median, again.median)
    note = f"gap {before.answer.gap:.0e}, certified"
    yield Row(case, "attnflow, one thread", own, "s", note=note)
    if theirs:
        best = min(theirs, key=lambda solver: theirs[solver])
        note = "a lower bound" if theirs[best] == LIMIT else ""
        yield Row(case, "best of cvxpy's / attnflow", theirs[best] / own, "x", least=goal, note=note)


def _encoder(n: int, depth: int) -> tuple[FlowNetwork, int]:
    return attention.encoder(depth, n), n // 2


def _noise(n: int, depth: int) -> tuple[FlowNetwork, int]:
    """Rows without any structure: the most edges that differ between maximum flows."""
    A = np.exp(2.0 * np.random.default_rng(0).standard_normal((depth, n, n)))
    return FlowNetwork.encoder(attention.with_residual(A / A.sum(axis=-1, keepdims=True))), 0


def _opened(n: int, depth: int) -> tuple[FlowNetwork, int]:
    return attention.opened(attention.encoder(depth, n)), n // 2


def _decoder(n: int, depth: int) -> tuple[FlowNetwork, int]:
    return attention.decoder(depth, n), n - 1


def _closed(n: int, depth: int) -> tuple[FlowNetwork, int]:
    A = attention.with_residual(attention.attention(depth, n, causal=True))
    return FlowNetwork.decoder(A, prompt=n // 2, prefix="closed"), n - 1


def _encoder_decoder(n: int, depth: int) -> tuple[FlowNetwork, int]:
    A = attention.with_residual(attention.attention(depth, n))
    causal = attention.with_residual(attention.attention(depth, n, causal=True, seed=1))
    cross = 0.5 * attention.attention(depth, n, seed=2)
    return FlowNetwork.encoder_decoder(A, causal, cross, cross_residual=0.5), n - 1


NETWORKS: dict[str, Any] = {
    "encoder, residual 0.5": _encoder,
    "unstructured rows, residual 0.5": _noise,
    "encoder, open residual": _opened,
    "decoder": _decoder,
    "decoder, closed": _closed,
    "encoder-decoder": _encoder_decoder,
}


def by_cvxpy(network: FlowNetwork, target: int, name: str) -> dict[str, Any]:
    """Seconds of a rival, and how far its flow is from ours."""
    import cvxpy as cp
    from scipy.sparse import csr_matrix

    from attnflow.barrier.program import edges_of, full_flow, limit_program
    from attnflow.maxflow import Solver
    from attnflow.maxflow.graph import INFINITE

    solver = Solver(network, target)
    edges = edges_of(solver)
    _, units, _ = solver.flow(dict.fromkeys(range(solver.players), INFINITE))
    program = limit_program(edges, full_flow(edges, units))
    ours = np.concatenate([p.T.ravel() if p.ndim == 2 else p for p in central_flow(network, target).flows])
    own = program.index < edges.own
    finite = np.isfinite(program.capacity)
    count = program.index.size
    free = np.isnan(program.potential)
    balance = csr_matrix(
        (
            np.concatenate([np.ones(count), -np.ones(count)]),
            (np.concatenate([program.tail, program.head]), np.tile(np.arange(count), 2)),
        ),
        shape=(program.nodes, count),
    )[free]
    x = cp.Variable(count)
    f = np.flatnonzero(finite)
    objective = cp.sum(cp.log(x[f])) + cp.sum(cp.log(program.capacity[f] - x[f]))
    constraints = [balance @ x == program.supply[free]]
    if not finite.all():
        constraints.append(x[np.flatnonzero(~finite)] >= 0)
    problem = cp.Problem(cp.Maximize(objective), constraints)
    begin, core = time.perf_counter(), time.process_time()
    status = "optimal"
    try:
        problem.solve(solver=name, **SOLVERS[name])
        status = problem.status
    except cp.error.SolverError as error:
        status = str(error).split(".")[0]
    # several threads have more processor time than wall time, a busy machine less: the rival gets the better
    seconds = min(time.perf_counter() - begin, time.process_time() - core)
    if x.value is None:
        return {"seconds": seconds, "solved": False, "note": status}
    theirs = x.value * float(solver.graph.value(2.0**program.exponent))
    error = float(np.abs(theirs[own] - ours[program.index[own]]).max())
    return {
        "seconds": seconds,
        "solved": True,
        "note": f"{status}, largest error of an edge {error:.0e}, {count} edges",
    }


def main() -> None:
    solver, name, n, depth = sys.argv[1:]
    network, target = NETWORKS[name](int(n), int(depth))
    once(lambda: central_flow(network, target))
    print(json.dumps(by_cvxpy(network, target, solver)))


if __name__ == "__main__":
    main()
