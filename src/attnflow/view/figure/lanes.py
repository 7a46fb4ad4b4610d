"""The lanes of a flow figure: one for each player, or for a run of positions that carry little.

Merging positions into a lane merges nodes of the network: what flows between two lanes is the sum over their
positions, so nothing is lost but the detail inside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Player
from attnflow.network import FlowNetwork
from attnflow.view.passage import label_of
from attnflow.view.ribbons import KINDS, Ribbons
from attnflow.view.shading import is_quiet

SUPPLY = KINDS.index("supply")


@dataclass(frozen=True)
class Lane:
    """One row of a flow figure.

    Attributes:
        stack: "encoder" or "decoder".
        positions: the positions it holds, ascending.
        label: what a reader sees.
        player: column of the scores, or None for positions that are no one player's.
        quiet: True for lanes that no reader wrote: special tokens, runs of what was merged.
    """

    stack: str
    positions: tuple[int, ...]
    label: str
    player: int | None = None
    quiet: bool = False


@dataclass(frozen=True, eq=False)
class Drawn:
    """Ribbons between lanes.

    Attributes:
        lanes: encoder before decoder, each in reading order.
        ribbons: with lanes for positions: `tail` and `head` are indices into `lanes`, merged where equal.
        supply: float64 `[lanes]`, what each lane's players send.
        merged: number of positions that stand in lanes of runs.
    """

    lanes: tuple[Lane, ...]
    ribbons: Ribbons
    supply: NDArray[np.float64]
    merged: int


def drawn(result: Attribution, ribbons: Ribbons, most: int) -> Drawn:
    """Sorts ribbons into lanes.

    Args:
        result: whose players the lanes are.
        ribbons: of a flow of the result.
        most: lanes at most: runs of players that carry least are merged until no more are left, if at all possible.
    """
    network = ribbons.network
    singles = _singles(result, network)
    load = _load(ribbons, singles)
    ranked = np.argsort(-load, kind="stable").tolist()
    goals = {number for number, lane in enumerate(singles) if _holds_target(network, ribbons, lane)}
    lanes = singles
    for kept in range(len(singles), -1, -1):
        lanes = _merged(singles, {*ranked[:kept], *goals})
        if len(lanes) <= most:
            break
    where = {
        (lane.stack, position): number for number, lane in enumerate(lanes) for position in lane.positions
    }
    moved, supply = _moved(ribbons, where, len(lanes))
    known = set(singles)
    merged = sum(len(lane.positions) for lane in lanes if lane not in known)
    return Drawn(tuple(lanes), moved, supply, merged)


def stack_of(network: FlowNetwork, group: int) -> str:
    """Returns whose lanes a group's positions stand in: a decoder's middle nodes stand in the decoder's."""
    stack = network.groups[group].stack
    return "decoder" if stack == "middle" else stack


def _singles(result: Attribution, network: FlowNetwork) -> list[Lane]:
    """A lane for every player, and for every position that is no player's."""
    known: dict[tuple[str, int], Player] = {
        node: player for player in result.excluded for node in player.nodes if len(player.nodes) == 1
    }
    seats: list[tuple[int, int, Lane]] = []
    taken: set[tuple[str, int]] = set()
    for number, player in enumerate(result.players):
        for stack in dict.fromkeys(stack for stack, _ in player.nodes):
            positions = tuple(sorted(position for name, position in player.nodes if name == stack))
            taken.update((stack, position) for position in positions)
            lane = Lane(stack, positions, label_of(player), number, is_quiet(player))
            seats.append((stack != "encoder", positions[0], lane))
    for group in network.groups:
        if group.layer or group.stack not in ("encoder", "decoder"):
            continue
        for position in range(group.size):
            node = (group.stack, position)
            if node in taken:
                continue
            final = network.groups[-1].stack == group.stack
            text = network.tokens[position] if final and position < len(network.tokens) else str(position)
            named = known.get(node, Player(text, (node,)))
            seats.append(
                (group.stack != "encoder", position, Lane(group.stack, (position,), label_of(named)))
            )
    return [lane for _, _, lane in sorted(seats, key=lambda seat: seat[:2])]


def _merged(singles: list[Lane], keep: set[int]) -> list[Lane]:
    """The lanes to keep, and runs of the others."""
    lanes: list[Lane] = []
    for (kept, stack), run in groupby(
        enumerate(singles), key=lambda item: (item[0] if item[0] in keep else None, item[1].stack)
    ):
        members = [lane for _, lane in run]
        if kept is not None or len(members) == 1:
            lanes += members
        else:
            positions = tuple(position for lane in members for position in lane.positions)
            lanes.append(Lane(stack, positions, f"… {len(positions):,} more", None, True))
    return lanes


def _holds_target(network: FlowNetwork, ribbons: Ribbons, lane: Lane) -> bool:
    """Whether a lane holds a target; of large sets of targets none is worth a lane for that alone."""
    if len(ribbons.positions) > 8 or lane.stack != network.groups[-1].stack:
        return False
    return any(position in ribbons.positions for position in lane.positions)


def _load(ribbons: Ribbons, lanes: list[Lane]) -> NDArray[np.float64]:
    """How much flows through each lane at its widest, beyond staying in its lane all the way."""
    where = {
        (lane.stack, position): number for number, lane in enumerate(lanes) for position in lane.positions
    }
    moved, _ = _moved(ribbons, where, len(lanes))
    load = np.zeros(len(lanes))
    for group in range(len(ribbons.network.groups)):
        for ends, side in ((moved.tail, moved.source), (moved.head, moved.target)):
            here = side == group
            np.maximum(load, np.bincount(ends[here], moved.flow[here], minlength=len(lanes)), out=load)
    return load


def _moved(
    ribbons: Ribbons, where: dict[tuple[str, int], int], count: int
) -> tuple[Ribbons, NDArray[np.float64]]:
    """Ribbons with lanes for positions, equal ones added up, and what each lane supplies."""
    network = ribbons.network
    tables = {}
    for number in range(len(network.groups)):
        stack = stack_of(network, number)
        tables[number] = np.array(
            [where.get((stack, position), -1) for position in range(network.groups[number].size)],
            dtype=np.int64,
        )
    first = min((number for number, group in enumerate(network.groups) if group.stack != "player"), default=0)
    inner = ribbons.pick(ribbons.kind != SUPPLY)
    starts = np.cumsum([0, *(len(tables[number]) for number in range(len(tables)))])
    table = np.concatenate([tables[number] for number in range(len(tables))])
    tails = table[starts[inner.source] + inner.tail]
    heads = table[starts[inner.target] + inner.head]
    keys = np.stack([inner.source, inner.target, tails, heads, inner.kind, inner.layer])
    unique, back = np.unique(keys, axis=1, return_inverse=True)
    back = back.reshape(-1)
    size = unique.shape[1]
    flow = np.bincount(back, inner.flow, minlength=size)
    crossed = np.bincount(back, inner.flow * inner.cut, minlength=size)
    order = np.argsort(flow, kind="stable")
    source, target, tail, head, kind, layer = (part[order] for part in unique)
    moved = replace(
        ribbons,
        source=source,
        target=target,
        tail=tail,
        head=head,
        flow=np.asarray(flow[order], dtype=np.float64),
        kind=kind,
        layer=layer,
        cut=(crossed > flow / 2)[order],
    )
    # What leaves an input node beyond what enters it.
    inputs = np.array([group.layer == 0 for group in network.groups]) & (np.arange(len(tables)) >= first)
    supply = np.zeros(count)
    for ends, side, sign in ((tail, source, 1.0), (head, target, -1.0)):
        here = inputs[side]
        supply += sign * np.bincount(ends[here], moved.flow[here], minlength=count)
    return moved, np.maximum(supply, 0.0)
