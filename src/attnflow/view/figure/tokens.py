"""Figure "tokens": the running text, every player shaded by its score from 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from unicodedata import bidirectional, east_asian_width

import numpy as np
import regex

from attnflow.attribution import Attribution
from attnflow.view import caption
from attnflow.view.figure import media
from attnflow.view.figure.lettering import Lettering
from attnflow.view.figure.palette import hexadecimal
from attnflow.view.figure.sheet import LINE, SMALL, Picture, Sheet
from attnflow.view.numbers import single
from attnflow.view.passage import Block, Piece, blocks
from attnflow.view.ribbons import row_of
from attnflow.view.shading import WEAKEST, Scale, chip, is_quiet, scale_for

#: Distance of lines of the text, as part of the font's size.
LEADING = 1.75
#: White between neighbours that touch, in points.
GAP = 1.6
#: Length of the scale of shades in points, and how many shades it shows.
KEY, SHADES = 120.0, 48
#: Smallest part of the style's font size that a text is set in to fit a given axes.
SMALLEST = 0.45


@dataclass(frozen=True)
class Placed:
    """A piece of text on the sheet: its left end, its line's baseline, its width."""

    piece: Piece
    text: str
    x: float
    y: float
    width: float


def tokens(result: Attribution, target: int | Sequence[int] | None = None, special: bool = True) -> Picture:
    """Composes the running text of one target.

    Args:
        result: the result.
        target: which target, by position; the first if left out.
        special: shade special tokens too; False dims them, and they do not count for the scale.
    """
    row = row_of(result, target)
    laid = media.without(blocks(result, result.targets[row]), result)
    scale = scale_for(result, [row], quiet=special)

    def height(width: float, letters: Lettering) -> float:
        return media.height(result, letters, width) + _lay(laid, letters, width)[1] + _key_height(letters)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, result, row, laid, scale, special)

    labels = [block.label for block in laid if block.label is not None]
    return Picture(
        heading=caption.heading(result.targets[row]),
        sentences=(caption.place(result, row), caption.caption(result)),
        texts=(*(piece.text for block in laid for piece in block.pieces), *labels, "…"),
        height=height,
        draw=draw,
    )


def _draw(
    sheet: Sheet,
    result: Attribution,
    row: int,
    laid: Sequence[Block],
    scale: Scale,
    special: bool,
) -> None:
    letters = sheet.letters
    above, wide = media.height(result, letters, sheet.width), sheet.width
    if above > 0 and not sheet.own:  # panels shrink with their width
        wide *= min(1.0, 0.8 * (sheet.height - _key_height(letters)) / above)
        above = media.height(result, letters, wide)
    media.put(sheet, result, row, scale, wide, letters)
    room = sheet.height - _key_height(letters)
    placed, needed = _lay(laid, letters, sheet.width, above)
    part = 1.0
    while needed > room and part > SMALLEST and not sheet.own:
        part *= 0.94
        letters = sheet.letters.smaller(part)
        placed, needed = _lay(laid, letters, sheet.width, above)
    shown = [item for item in placed if item.y <= room or sheet.own]
    for item in shown:
        _put(sheet, letters, item, result, row, scale, special)
    missing = {item.piece.player for item in placed if item.piece.player is not None}
    missing -= {item.piece.player for item in shown}
    _key(sheet, result, scale, len(missing))


def _put(
    sheet: Sheet,
    letters: Lettering,
    item: Placed,
    result: Attribution,
    row: int,
    scale: Scale,
    special: bool,
) -> None:
    from matplotlib.patches import Rectangle

    piece, size = item.piece, letters.size
    colour, ground = sheet.palette.ink, sheet.palette.ground
    top, bottom = item.y - size * 1.08, item.y + size * 0.36
    label = None if piece.player is None else f"player {piece.player}"
    if piece.player is not None:
        fraction = scale.fraction(float(result.scores[row, piece.player]))
        if is_quiet(result.players[piece.player]) and not special:
            colour, fraction = sheet.palette.soft, 0.0
        if abs(fraction) > WEAKEST[ground]:
            behind, before = chip(fraction, ground)
            colour = hexadecimal(before)
            sheet.ax.add_patch(
                Rectangle(
                    (item.x - 0.6, top),
                    item.width + 1.2,
                    bottom - top,
                    facecolor=hexadecimal(behind),
                    edgecolor="none",
                    gid=label,
                )
            )
    elif piece.excluded:
        colour = sheet.palette.faded(0.55)
    if piece.target:
        sheet.ax.add_patch(
            Rectangle(
                (item.x - 1.4, top - 0.8),
                item.width + 2.8,
                bottom - top + 1.6,
                fill=False,
                edgecolor=sheet.palette.ink,
                linewidth=0.9,
            )
        )
    style = letters.style()
    sheet.ax.text(item.x, item.y, sheet.letters.shown(item.text), color=colour, va="baseline", **style)
    if piece.excluded:
        sheet.ax.plot(
            [item.x, item.x + item.width], [item.y - size * 0.3] * 2, color=colour, linewidth=0.8, zorder=3
        )


# -- the scale ---------------------------------------------------------------------------------------------


def _key_height(letters: Lettering) -> float:
    return letters.size * (LINE * SMALL + 1.1)


def _key(sheet: Sheet, result: Attribution, scale: Scale, missing: int) -> None:
    """Draws the scale of shades under the text, and says what the text leaves out."""
    from matplotlib.patches import Rectangle

    palette, letters = sheet.palette, sheet.letters
    signed = caption.has_two_signs(result)
    size = letters.size * SMALL
    y = sheet.height - size * 1.1
    below, above = caption.ends(result)
    most = single(scale.most)
    low = f"{below} −{most}" if signed else "0"
    high = f"{most} {above}".rstrip()
    if not scale.most > 0:
        sheet.write(0, y + size * 0.4, "Every score is 0.", colour=palette.soft, scale=SMALL, va="baseline")
        return
    x = letters.width(low, scale=SMALL) + 5
    sheet.write(0, y + size * 0.36, low, colour=palette.soft, scale=SMALL, va="baseline")
    edges = np.linspace(-1 if signed else 0, 1, SHADES + 1)
    for number, (start, end) in enumerate(pairwise(edges)):
        behind, _ = chip((start + end) / 2, palette.ground)
        wide = KEY / SHADES
        sheet.ax.add_patch(
            Rectangle(
                (x + number * wide, y - size * 0.55),
                wide + 0.2,
                size * 1.0,
                facecolor=hexadecimal(behind),
                edgecolor="none",
            )
        )
    x += KEY + 5
    if missing:
        high += f"  ·  {missing} more players do not fit"
    sheet.write(x, y + size * 0.36, high, colour=palette.soft, scale=SMALL, va="baseline")


# -- lines -------------------------------------------------------------------------------------------------


def _lay(
    laid: Sequence[Block], letters: Lettering, width: float, y: float = 0.0
) -> tuple[list[Placed], float]:
    """Sets the blocks in lines of `width` points, from `y` down.

    Returns:
        Every piece with its place, and where the last line ends.
    """
    placed: list[Placed] = []
    size = letters.size
    for block in laid:
        if block.label is not None:
            y += size * SMALL * LINE
            placed.append(Placed(Piece(block.label), block.label, 0.0, y, letters.width(block.label)))
            y += size * 0.2
        rows = _rows(block.pieces, letters, width - 3)
        mirrored = _is_rightward(block.pieces)
        for row in rows:
            y += size * LEADING
            x = 1.5
            for piece, text in _whole(row):
                wide = letters.width(text)
                if text.strip():
                    place = width - x - wide if mirrored else x
                    placed.append(Placed(piece, text, place, y - size * 0.35, wide))
                # Neighbours that touch shall still be told apart.
                x += wide + (GAP if piece.player is not None else 0)
        y += size * 0.35
    return placed, y


def _whole(row: Sequence[tuple[Piece, str]]) -> Iterator[tuple[Piece, str]]:
    """Joins what one piece has on one line, so that a phrase is one stretch of shade."""
    for _, run in groupby(row, key=lambda part: id(part[0])):
        members = list(run)
        text = "".join(text for _, text in members)
        yield members[0][0], text if text.isspace() else text.rstrip(" ")


def _rows(pieces: Sequence[Piece], letters: Lettering, width: float) -> Iterator[list[tuple[Piece, str]]]:
    """Breaks pieces into lines: between words, else between pieces, else between characters."""
    row: list[tuple[Piece, str]] = []
    used = 0.0
    for unit in _units(pieces):
        if unit[0][1] == "\n":
            yield row
            row, used = [], 0.0
            continue
        wide = _wide(unit, letters)
        blank = not "".join(text for _, text in unit).strip()
        if used + wide > width and row and not blank:
            yield row
            row, used = [], 0.0
        if blank and not row:
            continue
        if wide <= width:
            row += unit
            used += wide
            continue
        for piece, text in unit:
            for part in _parts(text, letters, width):
                if used + letters.width(part) + GAP > width and row:
                    yield row
                    row, used = [], 0.0
                row.append((piece, part))
                used += letters.width(part) + GAP
    if row:
        yield row


def _wide(unit: Sequence[tuple[Piece, str]], letters: Lettering) -> float:
    return sum(letters.width(text) + (GAP if piece.player is not None else 0) for piece, text in unit)


def _units(pieces: Sequence[Piece]) -> Iterator[list[tuple[Piece, str]]]:
    """What is not broken if a line has room for it: words, blanks, line breaks."""
    parts = [(piece, text) for piece in pieces for text in regex.split(r"(\n| +)", piece.text) if text]

    def kind(part: tuple[Piece, str]) -> int:
        return 0 if part[1] == "\n" else 1 if part[1].isspace() else 2

    for what, run in groupby(parts, key=kind):
        members = list(run)
        wide = any(east_asian_width(char) in "WF" for _, text in members for char in text)
        if what != 2 or wide:
            yield from ([member] for member in members)
        else:
            yield members


def _parts(text: str, letters: Lettering, width: float) -> Iterator[str]:
    """A text in parts that each fit a line."""
    part = ""
    for cluster in regex.findall(r"\X", text):
        if part and letters.width(part + cluster) > width:
            yield part
            part = ""
        part += cluster
    yield part


def _is_rightward(pieces: Sequence[Piece]) -> bool:
    """Whether the text is written from right to left, by most of its letters."""
    ways = [bidirectional(char) for piece in pieces for char in piece.text]
    return sum(way in ("R", "AL") for way in ways) > sum(way == "L" for way in ways)
