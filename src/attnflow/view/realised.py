"""The realised flows of a result, as the sparse edges that a picture of them draws.

Scores come first, a flow second: for methods that split v(N), `Attribution.realize` finds a maximum flow with
exactly that split; for method "flow", whose scores belong to one flow per player, the flow of a player alone.
Which paths such a flow takes inside is the solver's choice, and what is shown must say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.attribution import Attribution
from attnflow.errors import OptionError
from attnflow.view import caption
from attnflow.view.numbers import counted, single
from attnflow.view.ribbons import Ribbons, realised

if TYPE_CHECKING:
    from attnflow.network import Block, FlowNetwork, Link

#: Realised flows of a payload where the caller names no number.
FLOWS = 24
#: Capacities of all networks solved by default; larger networks get fewer flows, at least one.
WORK = 12_000_000
#: Edges of one flow; beyond it the smallest are left out and counted.
EDGES = 12_000
#: Edges of all flows of a payload by default.
ALL_EDGES = 40_000

#: Which maximum flow this is. There are many.
CHOICES = {
    "flow": (
        "One maximum flow of one player alone: its value is the score. Where several paths would do, "
        "the one drawn is the solver's choice."
    ),
    "split": (
        "One maximum flow that splits over the players exactly as the scores say. Where several paths would do, "
        "the one drawn is the solver's choice; the split is not."
    ),
}


def flows(result: Attribution, most: int | None = None, sharing: int = 1) -> dict[str, Any]:
    """Returns the realised flows of a result.

    Args:
        result: the result.
        most: how many flows at most, each one maximum flow problem; None: a number that keeps the work and the
            page small. Every target comes before a second flow of the first.
        sharing: number of results that share that page.

    Returns:
        `graph`: groups and blocks (None if there is no flow), `items`: one per flow, `note`: what is drawn or why
        nothing is, `missing`: rows of targets without a drawn flow. See `docs/view.md` for the fields.
    """
    found: dict[str, Any] = {"graph": None, "items": [], "note": "", "missing": []}
    every = len(result.targets)
    if caption.is_difference(result):
        return {
            **found,
            "note": "The difference of two results has no flow of its own.",
            "missing": [*range(every)],
        }
    limit = max(1, _limit(result) // sharing) if most is None else most
    room = ALL_EDGES // sharing if most is None else None
    graph: dict[str, Any] | None = None
    items: list[dict[str, Any]] = []
    for row, player in _wanted(result):
        if len(items) >= limit or (room is not None and items and room <= 0):
            break
        try:
            found_flow = realised(result[row], player=player).ribbons
        except OptionError as refusal:
            return {**found, "note": str(refusal), "missing": [*range(every)]}
        graph = graph or _graph(found_flow.network)
        item = _item(found_flow, row, player)
        items.append(item)
        if room is not None:
            room -= sum(len(block[0]) for block in item["blocks"])
    missing = sorted(set(range(every)) - {item["row"] for item in items})
    if not items:
        return {**found, "note": "No flow was asked for.", "missing": missing}
    note = CHOICES["flow" if result.method == "flow" else "split"]
    return {"graph": graph, "items": items, "note": note, "missing": missing}


def _limit(result: Attribution) -> int:
    networks = result._networks()
    if not networks:
        return 1
    size = sum(part.capacity.size for part in networks[0].edges)
    return int(min(FLOWS, max(1, WORK // max(size, 1))))


def _wanted(result: Attribution) -> Iterator[tuple[int, int | None]]:
    """Rows and players in the order in which their flows are worth the work."""
    rows = range(len(result.targets))
    if result.method != "flow":
        yield from ((row, None) for row in rows)
        return
    ranked = np.argsort(-result.scores, axis=1, kind="stable")
    for place in range(len(result.players)):
        for row in rows:
            player = int(ranked[row, place])
            if result.scores[row, player] > 0:
                yield row, player


def _graph(network: FlowNetwork) -> dict[str, Any]:
    return {
        "groups": [{"stack": g.stack, "layer": g.layer, "size": g.size} for g in network.groups],
        "blocks": [
            {"source": part.source, "target": part.target, "layer": part.layer, "kind": _kind(network, part)}
            for part in network.edges
        ],
        "final": network.final,
    }


def _kind(network: FlowNetwork, part: Block | Link) -> str:
    """What joins two groups: "attention", "cross", "past" (a residual past it), "closure" or "players"."""
    source, target = network.groups[part.source], network.groups[part.target]
    if source.stack == "player":
        return "players"
    if part.layer == 0:
        return "closure"
    if source.stack == "middle":
        return "past"
    return "attention" if source.stack == target.stack or target.stack == "middle" else "cross"


def _item(found: Ribbons, row: int, player: int | None) -> dict[str, Any]:
    """One flow: per block its edges `[from], [to], [flow]`, largest first, and the minimum cut through them."""
    kept = found.pick(np.arange(len(found)) >= len(found) - EDGES)
    omitted = len(found) - len(kept)
    blocks, crossed = [], []
    for part in found.network.edges:
        own = np.flatnonzero((kept.source == part.source) & (kept.target == part.target))[::-1]
        amount = [_short(value) for value in kept.flow[own].tolist()]
        blocks.append([kept.tail[own].tolist(), kept.head[own].tolist(), amount])
        crossed.append(np.flatnonzero(kept.cut[own]).tolist())
    through = float(found.flow[found.cut].sum())
    return {
        "row": row,
        "player": player,
        "value": _short(found.value),
        "blocks": blocks,
        "cut": crossed,
        # What of the minimum cut lies at the target's own weights, not on an edge between two groups.
        "cut_at_target": _short(found.value - through) if through < found.value * (1 - 1e-6) else 0.0,
        "omitted": f"{counted(omitted, 'edge')} of at most {single(float(kept.flow[0]))} left out."
        if omitted
        else "",
    }


def _short(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")
