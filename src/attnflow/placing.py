"""Players that are places: blocks of patches, windows of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from attnflow.attribution import Player
from attnflow.errors import InputError, OptionError
from attnflow.grouping import Grouping
from attnflow.merging import ADDED, spelled


def placed_groups(players: Sequence[Player], how: str, size: Any) -> Grouping:
    """Groups players by where, or when, they are.

    Args:
        players: such as `FlowNetwork.players`.
        how: "blocks" or "windows".
        size: patches along each side of a block, or seconds of a window.

    Returns:
        Groups within one image or clip each; players that are nowhere stay by themselves. What a feature extractor
        padded a clip with is one group.

    Raises:
        OptionError: a size that is none.
        InputError: no player is a patch, or a stretch of time.
    """
    place, what = PLACED[how]
    whole = how == "blocks"
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size < math.inf:
        raise OptionError(f"players=({how!r}, {size!r}): expected a number above 0.")
    if whole and size != int(size):
        raise OptionError(f"players=({how!r}, {size!r}): expected a whole number of patches along each side.")
    found: dict[object, list[int]] = {}
    for index, player in enumerate(players):
        where = place(player, size)
        found.setdefault(("alone", index) if where is None else where, []).append(index)
    if all(isinstance(where, tuple) and where[0] == "alone" for where in found):
        raise InputError(f"players=({how!r}, {size:g}) needs {what}, and no token is one.")
    groups = sorted(tuple(members) for members in found.values())
    return Grouping(
        tuple(groups), tuple(spelled([players[index] for index in group], None) for group in groups)
    )


def _block(player: Player, size: float) -> object | None:
    if len(player.patches) != 1:
        return None
    row, column = player.patches[0]
    return player.medium, row // int(size), column // int(size)


def _window(player: Player, size: float) -> object | None:
    if player.time is None:
        return None
    if player.kind in ADDED:
        return player.medium, "padding"
    return player.medium, int(sum(player.time) / 2 // size)


#: By name: where a player is, and what messages call such players.
PLACED: dict[str, tuple[Callable[[Player, float], object | None], str]] = {
    "blocks": (_block, "patches of an image"),
    "windows": (_window, "stretches of time"),
}
