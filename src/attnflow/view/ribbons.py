"""From a realised flow to ribbons: what a picture of a flow draws, whoever draws it.

A ribbon is an edge that carries flow. Which edges the pictures may leave out is decided here too, and what
share of the flow goes with them, so that every view hides the same and says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution
from attnflow.errors import OptionError
from attnflow.maxflow import MaxFlow
from attnflow.network import Block, FlowNetwork, Link

#: Kinds of ribbon, in the order they are drawn and listed: the quiet ones lie underneath.
KINDS = ("supply", "closure", "residual", "attention", "cross")


@dataclass(frozen=True, eq=False)
class Ribbons:
    """Edges that carry flow, one entry each, weakest first.

    Attributes:
        network: the network that they are edges of; where players are groups it starts with a group of stack
            "player" that has a node for each.
        source: int64 `[ribbons]`, index of the group they leave.
        target: int64 `[ribbons]`, index of the group they enter.
        tail: int64 `[ribbons]`, position they leave.
        head: int64 `[ribbons]`, position they enter.
        flow: float64 `[ribbons]`, in the capacities' unit, all above 0.
        kind: int64 `[ribbons]`, index into `KINDS`. The residual connection and what a position attends to in
            itself are one edge, of kind "residual".
        layer: int64 `[ribbons]`, 1-based index into the network's `layers`, 0 for edges of none.
        cut: bool `[ribbons]`, True where the minimum cut crosses it.
        value: the flow's value.
        positions: the target's positions in the last group.
    """

    network: FlowNetwork
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    flow: NDArray[np.float64]
    kind: NDArray[np.int64]
    layer: NDArray[np.int64]
    cut: NDArray[np.bool_]
    value: float
    positions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.flow)

    def pick(self, mask: NDArray[np.bool_]) -> Ribbons:
        """Returns only the ribbons where `mask`, bool `[ribbons]`, is True."""
        names = ("source", "target", "tail", "head", "flow", "kind", "layer", "cut")
        return replace(self, **{name: getattr(self, name)[mask] for name in names})


@dataclass(frozen=True, eq=False)
class Realised:
    """One flow of a result, ready to be drawn.

    Attributes:
        ribbons: its edges.
        row: which target of the result it runs to.
        player: for method "flow", whose scores belong to separate flows, whose flow it is; else None.
    """

    ribbons: Ribbons
    row: int
    player: int | None = None


def realised(
    result: Attribution, target: int | Sequence[int] | None = None, player: int | None = None
) -> Realised:
    """Finds the flow that stands for one target's scores.

    Args:
        result: the result, with its network.
        target: which target, by its position or positions; the first if left out.
        player: for method "flow": whose flow; None: the player's with the highest score.

    Returns:
        The flow's ribbons. The cut they are marked by is that of all players together (of the one player for
        method "flow"), the one nearest to them.

    Raises:
        OptionError: see `Attribution.realize`, which finds the flow.
    """
    row = row_of(result, target)
    one = result[row] if len(result) > 1 else result
    if result.method == "flow" and player is None:
        player = int(np.argmax(result.scores[row]))
    flow = one.realize(player=player)
    # A realised flow is capped at the scores, and so is its own cut; the network's is found without the caps.
    cut = flow.cut
    if flow.supply:
        chosen = result.targets[row]
        free = flow.network.max_flow(flow.players, target=chosen.positions, weights=chosen.weights)
        cut = free.cut
    return Realised(ribbons(flow, cut), row, player)


def ribbons(flow: MaxFlow, cut: Sequence[NDArray[np.bool_]] | None = None) -> Ribbons:
    """Lists the edges that carry some of a flow.

    Args:
        flow: the flow.
        cut: per block and link of the network's edges a mask of those to mark; None: the flow's own cut.

    Returns:
        The ribbons, weakest first.
    """
    network = flow.network
    crossing = flow.cut if cut is None else cut
    columns: list[list[NDArray[np.int64]]] = []
    flows: list[NDArray[np.float64]] = []
    cuts: list[NDArray[np.bool_]] = []
    for edges, sent, marked in zip(network.edges, flow.flows, crossing, strict=True):
        carries = sent > 0
        tails = np.broadcast_to(edges.tails, sent.shape)[carries]
        heads = np.broadcast_to(edges.heads, sent.shape)[carries]
        count = len(tails)
        columns.append(
            [
                np.full(count, edges.source),
                np.full(count, edges.target),
                tails.astype(np.int64),
                heads.astype(np.int64),
                _kinds(network, edges, tails, heads),
                np.full(count, edges.layer),
            ]
        )
        flows.append(sent[carries])
        cuts.append(np.broadcast_to(marked, sent.shape)[carries])
    amount = np.concatenate(flows)
    order = np.argsort(amount, kind="stable")
    source, target, tail, head, kind, layer = (
        np.concatenate([part[index] for part in columns]).astype(np.int64)[order] for index in range(6)
    )
    return Ribbons(
        network=network,
        source=source,
        target=target,
        tail=tail,
        head=head,
        flow=amount[order],
        kind=kind,
        layer=layer,
        cut=np.concatenate(cuts)[order],
        value=flow.value,
        positions=flow.positions,
    )


def hidden(flow: NDArray[np.float64], share: float, most: int | None = None) -> tuple[int, float]:
    """Says how many of the weakest ribbons may be left out, and what share of the flow goes with them.

    Args:
        flow: float64 `[ribbons]`, ascending.
        share: largest share of the flow over all ribbons to leave out, from 0 up to 1.
        most: largest number of ribbons to keep, however much that leaves out; None: any number.

    Returns:
        The number of ribbons to leave out, from the front, and the share of the flow over all ribbons that
        they carry.

    Raises:
        OptionError: a share that is none.
    """
    if not 0 <= share < 1:
        raise OptionError(f"hide={share!r}: expected a share of the flow from 0 up to 1, such as 0.05.")
    if not len(flow):
        return 0, 0.0
    carried = np.cumsum(flow) / flow.sum()
    count = int(np.searchsorted(carried, share, side="right"))
    if most is not None:
        count = max(count, len(flow) - most)
    return count, float(carried[count - 1]) if count else 0.0


def row_of(result: Attribution, target: int | Sequence[int] | None) -> int:
    """Finds the row of a target.

    Args:
        result: the result.
        target: its position, negative from the end, or its positions; None: the first target, as the page opens.

    Raises:
        OptionError: there is no such target, or it has several rows; the message names those there are.
    """
    known = [found.positions for found in result.targets]
    if target is None:
        return 0
    network = result.network if result.networks is None else result.networks[0]
    wanted = (int(target),) if isinstance(target, (int, np.integer)) else tuple(target)
    if network is not None:
        wanted = network.positions(wanted)
    rows = [row for row, positions in enumerate(known) if positions == wanted]
    if not rows:
        shown = ", ".join(_written(positions) for positions in known[:12]) + (
            ", …" if len(known) > 12 else ""
        )
        raise OptionError(f"The result has no target {_written(wanted)}: expected one of {shown}.")
    if any((result.scores[row] != result.scores[rows[0]]).any() for row in rows):
        raise OptionError(
            f"The result has {len(rows)} targets at {_written(wanted)}: take one by its row, result[row]."
        )
    return rows[0]


def _written(positions: tuple[int, ...]) -> str:
    return str(positions[0]) if len(positions) == 1 else str(list(positions))


def _kinds(
    network: FlowNetwork, edges: Block | Link, tails: NDArray[np.int64], heads: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The kind of each edge of one block or link."""
    source, target = network.groups[edges.source], network.groups[edges.target]
    if source.stack == "player":
        return np.full(len(tails), KINDS.index("supply"))
    if isinstance(edges, Link):
        return np.full(len(tails), KINDS.index("residual" if edges.layer else "closure"))
    if source.stack == "encoder" and target.stack != "encoder":
        return np.full(len(tails), KINDS.index("cross"))
    return np.where(tails == heads, KINDS.index("residual"), KINDS.index("attention"))
