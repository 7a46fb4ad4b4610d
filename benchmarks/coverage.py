"""Are the standard errors of sampled Shapley values honest? `python -m benchmarks.coverage` prints the table.

Random networks of three builders with 10 players, whose exact values are known. Over many seeds: how often the
interval of 1.96 standard errors holds the exact value (95 % if honest), the stated standard error beside the
true one, and the variance beside that of as many independent orders.
"""

from __future__ import annotations

import numpy as np

from attnflow import FlowNetwork, attribute
from attnflow.maxflow import Solver

SEEDS = 400
PLAYERS = 10


def attention(rng: np.random.Generator, layers: int, rows: int, columns: int) -> np.ndarray:
    weights = rng.gamma(0.5, size=(layers, rows, columns)) + 1e-9
    return weights / weights.sum(axis=-1, keepdims=True)


def merged(weights: np.ndarray) -> np.ndarray:
    return 0.5 * weights + 0.5 * np.eye(weights.shape[-1])


def causal(weights: np.ndarray) -> np.ndarray:
    lower = np.tril(weights)
    return lower / lower.sum(axis=-1, keepdims=True)


def networks(rng: np.random.Generator) -> dict[str, FlowNetwork]:
    n = PLAYERS
    return {
        "encoder, 4 layers": FlowNetwork.encoder(merged(attention(rng, 4, n, n))),
        "decoder, 4 layers": FlowNetwork.decoder(merged(causal(attention(rng, 4, n, n)))),
        "encoder-decoder, 2 + 2 layers": FlowNetwork.encoder_decoder(
            merged(attention(rng, 2, n - 4, n - 4)),
            merged(causal(attention(rng, 2, 4, 4))),
            0.5 * attention(rng, 2, 4, n - 4),
            cross_residual=0.5,
        ),
    }


def main() -> None:
    print(
        "| network | orders | coverage of 95 % intervals | stated / true error | variance / independent orders' |"
    )
    print("|---|---|---|---|---|")
    for name, network in networks(np.random.default_rng(0)).items():
        exact = attribute(network, method="shapley", targets=[-1], bounds=False).scores[0]
        for samples in (64, 256, 1024):
            found = [
                attribute(
                    network,
                    method="shapley",
                    targets=[-1],
                    bounds=False,
                    samples=samples,
                    seed=seed,
                    threads=1,
                )
                for seed in range(SEEDS)
            ]
            scores = np.array([result.scores[0] for result in found])
            errors = np.array([result.stderr[0] for result in found])  # type: ignore[index]
            moving = errors.mean(axis=0) > 1e-9  # players who can never send anything have no error at all
            hits = np.abs(scores - exact)[:, moving] <= 1.96 * errors[:, moving]
            true = np.sqrt(((scores - exact) ** 2).mean(axis=0))[moving]
            stated = np.sqrt((errors**2).mean(axis=0))[moving]
            print(
                f"| {name} | {samples} | {hits.mean():.1%} | {np.mean(stated / true):.2f} | "
                f"{(true**2).sum() * found[0].samples / _independent(network):.2f} |",
                flush=True,
            )


def _independent(network: FlowNetwork) -> float:
    """Variance of what the players add in one random order, summed over players."""
    solver = Solver(network, -1)
    order = np.random.default_rng(1).permuted(np.tile(np.arange(len(network.players)), (4000, 1)), axis=1)
    return float(solver.graph.value(solver.orders(order, solver.grand())).var(axis=0).sum())


if __name__ == "__main__":
    main()
