"""Time and accuracy of `method="central"` against cvxpy's best solver, as a Markdown table.

    python benchmarks/central.py                # n=128 x 6, n=512 x 12 and comparisons on small networks
    python benchmarks/central.py --quick        # leaves out n=512

The comparison gives cvxpy the easy half of the task: the edges that vary, with constant edges fixed and
numbers scaled. Its gap is measured the same way for both: the largest difference of any edge's flow from
attnflow's, whose own certified gap stands beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import cvxpy as cp
import numpy as np
from scipy.sparse import csr_matrix

from attnflow.barrier.program import edges_of, full_flow, limit_program
from attnflow.maxflow import Solver
from attnflow.maxflow.graph import INFINITE
from attnflow.methods.central import central_flow
from attnflow.network import FlowNetwork


def attention(n: int, depth: int, sharpness: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    A = np.exp(sharpness * rng.standard_normal((depth, n, n)))
    return A / A.sum(axis=-1, keepdims=True)


def networks(n: int, depth: int) -> dict[str, FlowNetwork]:
    A = attention(n, depth)
    causal = np.tril(A) / np.tril(A).sum(axis=-1, keepdims=True)
    eye = np.eye(n)
    opened = np.where(eye > 0, np.inf, A)
    opened[0, 0, 0] = 0.1  # the target's own column
    return {
        "encoder, residual 0.5": FlowNetwork.encoder(0.5 * A + 0.5 * eye),
        "encoder, open residual": FlowNetwork.encoder(opened),
        "decoder, closed": FlowNetwork.decoder(0.5 * causal + 0.5 * eye, prompt=n // 2, prefix="closed"),
        "encoder-decoder": FlowNetwork.encoder_decoder(
            0.5 * A + 0.5 * eye, 0.5 * causal + 0.5 * eye, 0.5 * A, cross_residual=0.5
        ),
    }


def timed(network: FlowNetwork, target: int, repeat: int = 3) -> tuple[float, object]:
    best = np.inf
    network._graph  # noqa: B018 - lowered once for every method
    for _ in range(repeat):
        begin = time.perf_counter()
        found = central_flow(network, target)
        best = min(best, time.perf_counter() - begin)
    return best, found


def by_cvxpy(network: FlowNetwork, target: int, name: str, options: dict) -> tuple[float, float]:
    """Seconds and largest error of an edge's flow."""
    solver = Solver(network, target)
    edges = edges_of(solver)
    _, units, _ = solver.flow(dict.fromkeys(range(solver.players), INFINITE))
    program = limit_program(edges, full_flow(edges, units))
    ours = np.concatenate(
        [part.T.ravel() if part.ndim == 2 else part for part in central_flow(network, target).flows]
    )
    own = program.index < edges.own
    finite = np.isfinite(program.capacity)
    count = program.index.size
    balance = csr_matrix(
        (
            np.concatenate([np.ones(count), -np.ones(count)]),
            (np.concatenate([program.tail, program.head]), np.tile(np.arange(count), 2)),
        ),
        shape=(program.nodes, count),
    )[np.isnan(program.potential)]
    x = cp.Variable(count)
    f = np.flatnonzero(finite)
    objective = cp.sum(cp.log(x[f])) + cp.sum(cp.log(program.capacity[f] - x[f]))
    constraints = [balance @ x == program.supply[np.isnan(program.potential)]]
    if not finite.all():
        constraints.append(x[np.flatnonzero(~finite)] >= 0)
    problem = cp.Problem(cp.Maximize(objective), constraints)
    begin = time.perf_counter()
    try:
        problem.solve(solver=name, **options)
    except cp.error.SolverError:
        return time.perf_counter() - begin, np.nan
    seconds = time.perf_counter() - begin
    if x.value is None:
        return seconds, np.nan
    theirs = x.value * float(solver.graph.value(2.0**program.exponent))
    return seconds, float(np.abs(theirs[own] - ours[program.index[own]]).max())


SOLVERS = {
    "CLARABEL": {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13, "max_iter": 500},
    "SCS": {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 20_000},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    central_flow(FlowNetwork.encoder(np.full((2, 2, 2), 0.5)), 0)  # compile

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; seconds per target.\n")
    print("| network | n x layers | seconds | Newton steps | certified gap / v(N) |")
    print("|---|---|---|---|---|")
    for n, depth in ((128, 6),) if arguments.quick else ((128, 6), (512, 12)):
        for name, network in networks(n, depth).items():
            seconds, found = timed(network, 0 if name.startswith("encoder,") else n - 1, 3 if n < 300 else 1)
            print(
                f"| {name} | {n} x {depth} | {seconds:.2f} | {found.steps} | {found.gap / found.value:.0e} |",
                flush=True,
            )
    print("\n| network | n x layers | attnflow s | gap | solver | s | largest error of an edge |")
    print("|---|---|---|---|---|---|---|")
    for n, depth in ((8, 3), (32, 4), (64, 6)):
        for name, network in networks(n, depth).items():
            target = 0 if name.startswith("encoder,") else n - 1
            seconds, found = timed(network, target)
            for solver in ("CLARABEL",) if n > 8 else SOLVERS:
                theirs, error = by_cvxpy(network, target, solver, SOLVERS[solver])
                print(
                    f"| {name} | {n} x {depth} | {seconds:.3f} | {found.gap:.0e} "
                    f"| {solver} | {theirs:.2f} | {error:.0e} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
