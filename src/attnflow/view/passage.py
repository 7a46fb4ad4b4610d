"""The running text of a result: its players in reading order, with the spacing they came with.

Everything here is safe to print: control characters, terminal escapes and invisible direction marks are
replaced by visible signs. Escaping for HTML is left to the page.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from attnflow.attribution import Attribution, Player, Target

#: Stands for a token that shares its characters with the token before it (bytes of one emoji).
CONTINUATION = "·"
#: Punctuation that no space goes before, where the spacing is not known.
CLINGS = frozenset(".,;:!?)]}%’”»…。、，！？）」』")


@dataclass(frozen=True)
class Piece:
    """A stretch of running text.

    Attributes:
        text: what to show; a newline character in it breaks the line and nothing else.
        player: column of the scores, or None for text that is no player's.
        excluded: True for a player that was taken out of the game.
        target: True if the target's node stands here.
    """

    text: str
    player: int | None = None
    excluded: bool = False
    target: bool = False


@dataclass(frozen=True)
class Block:
    """Pieces that are read together: one stack, or one turn of a chat in it.

    Attributes:
        label: heading ("source", "decoder", a role), or None where there is only one block.
        pieces: in reading order.
    """

    label: str | None
    pieces: tuple[Piece, ...]


def visible(text: str) -> str:
    """Returns `text` on one line, with a visible sign for every character that acts instead of showing."""
    if text.isprintable():
        return text
    return "".join(_sign(text, index, char) for index, char in enumerate(text))


def _sign(text: str, index: int, char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if char == "\n":
        return "↵"
    if char == "\t":
        return "⇥"
    category = unicodedata.category(char)
    if category == "Zs":
        return " " if code == 0xA0 else char
    if category == "Cn" and code & 0xFFFE != 0xFFFE and not 0xFDD0 <= code <= 0xFDEF:
        return char  # unassigned in this Python's tables: a newer script or emoji
    if (
        code in (0x200C, 0x200D)
        and 0 < index < len(text) - 1
        and not (text[index - 1] + text[index + 1]).isascii()
    ):
        return char  # joiners inside emoji and Indic or Persian words are part of the spelling
    return f"⟨U+{code:04X}⟩"


def label_of(player: Player) -> str:
    """Returns a player's name for a table cell: trimmed, never empty, never starting with a loose accent."""
    text = player.label.strip(" \u00a0")
    if not text:
        return "␣" * len(player.label) or "(empty)"
    shown = visible(text)
    return f"◌{shown}" if unicodedata.combining(shown[0]) else shown


def place_of(player: Player, *, stack: bool = False) -> str:
    """Returns the positions a player owns: `3`, `3–5`, `3, 7–8`; with `stack` named by their stack."""
    parts = []
    for name, nodes in groupby(
        sorted(player.nodes, key=lambda node: (_rank(node[0]), node[1])), key=lambda n: n[0]
    ):
        runs: list[list[int]] = []
        for _, position in nodes:
            if runs and position == runs[-1][1] + 1:
                runs[-1][1] = position
            else:
                runs.append([position, position])
        spans = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)
        parts.append(f"{'source' if name == 'encoder' else name} {spans}" if stack else spans)
    return "; ".join(parts)


def reading_order(result: Attribution) -> tuple[int, ...]:
    """Returns the columns of the scores as they are read: encoder before decoder, then by position."""
    return tuple(sorted(range(len(result.players)), key=lambda j: _first(result.players[j])))


def has_two_stacks(result: Attribution) -> bool:
    """Returns True for an encoder-decoder, whose positions are ambiguous without their stack."""
    nodes = {stack for player in (*result.players, *result.excluded) for stack, _ in player.nodes}
    return len(nodes) > 1


def blocks(result: Attribution, target: Target | None = None) -> tuple[Block, ...]:
    """Lays out the running text of a result.

    Args:
        result: the result; its `text` and the players' spans give the original spacing.
        target: whose nodes to mark.

    Returns:
        One block, or one for each stack and role.
    """
    seats = sorted(
        [(player, index) for index, player in enumerate(result.players)]
        + [(player, None) for player in result.excluded],
        key=lambda seat: _first(seat[0]),
    )
    two = has_two_stacks(result)
    stacks = {stack for player, _ in seats for stack, _ in player.nodes}
    last = "decoder" if "decoder" in stacks else "encoder"
    nodes = {(last, position) for position in target.positions} if target is not None else set()
    parts = [
        (stack, list(members))
        for (stack, _), members in groupby(seats, key=lambda seat: (_stack(seat[0]), _turn(seat[0])))
    ]
    roles = any(player.role for player, _ in seats)
    laid = []
    written = 0
    for number, (stack, members) in enumerate(parts):
        # Spans are offsets in the one source text; a second stack has a text of its own.
        source = result.text if result.text is not None and (stack == "encoder" or not two) else None
        final = all(other != stack for other, _ in parts[number + 1 :])
        role = next((player.role for player, _ in members if player.role), None)
        pieces, written = _lay(members, source, written, nodes, final=final)
        names = [
            name for name in (("source" if stack == "encoder" else stack) if two else None, role) if name
        ]
        laid.append(Block(" · ".join(map(visible, names)) if two or roles else None, tuple(pieces)))
    return tuple(laid)


def _lay(
    members: Sequence[tuple[Player, int | None]],
    source: str | None,
    written: int,
    nodes: set[tuple[str, int]],
    *,
    final: bool,
) -> tuple[list[Piece], int]:
    """Lays out one block; `written` is how much of the source earlier blocks have used."""
    loose = [player.label for player, _ in members if source is None or player.span is None]
    spaced = any(label[:1].isspace() for label in loose)  # labels that bring their own spaces
    pieces: list[Piece] = []

    def put(text: str, player: int | None = None, excluded: bool = False, target: bool = False) -> None:
        if text:
            pieces.append(Piece(text, player, excluded, target))

    def loose_accent(text: str) -> bool:
        starts = not pieces or pieces[-1].text[-1].isspace()
        return starts and bool(unicodedata.combining(text.lstrip(" ")[:1] or " "))

    def part_from_last() -> None:
        if pieces and not pieces[-1].text[-1].isspace():
            put(" ")

    for player, index in members:
        excluded = index is None
        target = any(node in nodes for node in player.nodes)
        quiet = player.kind in ("special", "template")
        if source is not None and player.span is not None:
            start, end = max(player.span[0], written), player.span[1]
            if start > written and (pieces or written == 0 or source[written:start].strip()):
                put(_gap(source[written:start]))
            if start >= end:
                if player.span[0] == player.span[1]:
                    put(label_of(player), index, excluded, target)
                else:
                    put(CONTINUATION, index, excluded, target)
                continue
            written = end
            text = source[start:end]
        else:
            text = player.label
            if quiet or not spaced or (pieces and pieces[-1].player is None):
                if text[:1] not in CLINGS or quiet:
                    part_from_last()
                if not quiet:
                    text = text.strip(" ") or text
        _put_token(put, f"◌{text.strip(' ')}" if loose_accent(text) else text, index, excluded, target)
        if quiet and player.span is None:
            put(" ")
    if final and source is not None and written < len(source):
        put(_gap(source[written:]))
        written = len(source)
    while pieces and pieces[-1].player is None and not pieces[-1].excluded and not pieces[-1].text.strip():
        pieces.pop()
    return pieces, written


def _put_token(put: Callable[..., None], text: str, index: int | None, excluded: bool, target: bool) -> None:
    """Puts a token's own text: outer spaces unshaded, line breaks shown and made."""
    body = text.strip(" ")
    if not body:
        put(text or "∅", index, excluded, target)
        return
    left = len(text) - len(text.lstrip(" "))
    put(text[:left])
    put(visible(body.replace("\r\n", "\n")), index, excluded, target)
    if "\n" in body:
        put("\n")
    put(text[left + len(body) :])


def _gap(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return "\n".join(visible(line) for line in lines)


def _rank(stack: str) -> int:
    return 0 if stack == "encoder" else 1


def _stack(player: Player) -> str:
    return min((stack for stack, _ in player.nodes), key=_rank, default="encoder")


def _turn(player: Player) -> tuple[int | None, str | None]:
    return (player.turn, None) if player.turn is not None else (None, player.role)


def _first(player: Player) -> tuple[int, int]:
    return min(((_rank(stack), position) for stack, position in player.nodes), default=(0, 0))
