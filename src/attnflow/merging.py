"""One player out of several: which nodes, which text, which name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from attnflow.attribution import Player
from attnflow.media import joined, patches_name, time_name
from attnflow.segments import Span, whole_letters

#: Kinds of players that stand for no text of the reader's.
ADDED = frozenset({"special", "template"})


def merge(parts: Sequence[Player], text: str | None = None, label: str | None = None) -> Player:
    """Makes one player that owns every node of several.

    Args:
        parts: players, in order.
        text: the source text.
        label: its name; default the text the parts span, or their labels if they span no one piece.

    Returns:
        The player. It has a span if the parts are neighbours that all have one; a kind, a role, a turn if they agree.
    """
    if len(parts) == 1:
        return parts[0] if label is None else replace(parts[0], label=label)
    kinds, roles, turns, media = (
        {getattr(part, name) for part in parts} for name in ("kind", "role", "turn", "medium")
    )
    return Player(
        label=spelled(parts, text) if label is None else label,
        nodes=tuple(node for part in parts for node in part.nodes),
        span=_spanned(parts),
        kind=kinds.pop() if len(kinds) == 1 else "text",
        role=roles.pop() if len(roles) == 1 else None,
        turn=turns.pop() if len(turns) == 1 else None,
        **_placed(parts, media.pop() if len(media) == 1 else None),
    )


def _placed(parts: Sequence[Player], medium: int | None) -> dict[str, Any]:
    """Where in one medium several players are."""
    if medium is None:
        return {}
    times = [part.time for part in parts if part.time is not None]
    return {
        "medium": medium,
        "patches": tuple(cell for part in parts for cell in part.patches),
        "time": joined(times) if len(times) == len(parts) else None,
    }


def _spanned(parts: Sequence[Player]) -> Span | None:
    spans = [part.span for part in parts if part.span is not None]
    nodes = [node for part in parts for node in part.nodes]
    if len(spans) < len(parts) or len({stack for stack, _ in nodes}) != 1 or not adjacent(nodes):
        return None
    return min(start for start, _ in spans), max(end for _, end in spans)


def spelled(parts: Sequence[Player], text: str | None) -> str:
    """What players are called together: the text, patches or time they span; else their labels."""
    place = _placed(parts, parts[0].medium) if len({part.medium for part in parts}) == 1 else {}
    if place and all(part.patches for part in parts):
        return patches_name(place["patches"])
    if place and place["time"] is not None:
        return time_name(*place["time"])
    span = _spanned([part for part in parts if part.kind not in ADDED] or parts)
    if span is None or text is None or span[0] == span[1]:
        return " ".join(part.label for part in parts)
    return text[slice(*whole_letters(text, *span))]


def single_stack(player: Player) -> str | None:
    """The stack of all of a player's nodes, or None if it owns nodes of both."""
    stacks = {stack for stack, _ in player.nodes}
    return stacks.pop() if len(stacks) == 1 else None


def adjacent(nodes: Iterable[tuple[str, int]]) -> bool:
    """Whether positions of one stack follow each other without a gap."""
    positions = sorted(position for _, position in nodes)
    return positions == list(range(positions[0], positions[0] + len(positions)))
