"""The flow game for other libraries: v(S) of any coalition of players.

`game` returns a shapiq game, so that every index and approximator of shapiq works on attention flows:
Shapley interactions between words, Banzhaf values, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.errors import MissingExtraError, OptionError
from attnflow.maxflow import Solver

if TYPE_CHECKING:
    import shapiq

    from attnflow.network import FlowNetwork


def game(
    network: FlowNetwork,
    target: int | Sequence[int],
    *,
    players: Sequence[Sequence[int]] | None = None,
    weights: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    threads: int | None = 1,
) -> shapiq.Game:
    """Makes the coalition game of one target.

    Args:
        network: the flow network.
        target: a position of the last group, or a set of them.
        players: disjoint lists of indices into `network.players`; None: every position its own player.
        weights: one per position of a set, summing to 1.
        labels: names of the players; default their tokens.
        threads: solver threads; None: all cores.

    Returns:
        A `shapiq.Game`: called with a boolean matrix `[coalitions, players]` it returns the maximum flows
        from those coalitions, float64 `[coalitions]`. The empty coalition is worth 0.

    Raises:
        MissingExtraError: shapiq is not installed.
        NetworkError: target or players that the network does not have.
    """
    try:
        import shapiq
    except ImportError as error:
        raise MissingExtraError("shapiq", "game") from error

    solver = Solver(network, target, weights=weights, groups=players, threads=threads)
    groups = [(index,) for index in range(len(network.players))] if players is None else players
    if labels is not None and len(labels) != len(groups):
        raise OptionError(f"Found {len(labels)} labels for {len(groups)} players.")
    names = [" ".join(network.players[index].label for index in group) for group in groups]

    class FlowGame(shapiq.Game):  # type: ignore[misc, unused-ignore]
        """v(S) of one target, in the capacities' unit."""

        def value_function(self, coalitions: Any) -> Any:
            rows = np.atleast_2d(np.asarray(coalitions, dtype=bool))
            grand = solver.grand()
            units = [solver.value(np.flatnonzero(row).tolist(), grand) if row.any() else 0 for row in rows]
            return np.asarray(solver.graph.value(np.array(units, dtype=np.int64)))

    # shapiq wants every player under a name of its own.
    unique = [f"{name} ({place})" for place, name in enumerate(labels or names)]
    return FlowGame(n_players=len(groups), normalize=False, player_names=unique)
