"""Pictures and sound in the figure "tokens": what positions that are no text are parts of, shaded by score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution
from attnflow.media import Medium
from attnflow.view.figure.lettering import Lettering
from attnflow.view.figure.palette import hexadecimal
from attnflow.view.figure.sheet import LINE, SMALL, Sheet
from attnflow.view.passage import Block, visible
from attnflow.view.shading import AGAINST, RAMPS, WEAKEST, Scale, chip

#: Highest picture, height of a strip of sound, and white between two panels, in points.
PICTURE, STRIP, GAP = 230.0, 84.0, 10.0
#: How much of the strongest score's shade hides of the picture under it.
OPAQUE = 0.85


def shown(result: Attribution) -> list[int]:
    """Returns indices of the media that players are parts of."""
    used = {player.medium for player in result.players}
    return [number for number in range(len(result.media)) if number in used]


def without(laid: Sequence[Block], result: Attribution) -> tuple[Block, ...]:
    """Returns the running text without what the panels show."""
    blocks = []
    for block in laid:
        kept = [
            piece
            for piece in block.pieces
            if piece.player is None or result.players[piece.player].medium is None
        ]
        words = [piece for piece in kept if piece.player is not None or piece.excluded]
        if words:
            blocks.append(Block(block.label, tuple(_single_spaced(kept))))
    return tuple(blocks)


def height(result: Attribution, letters: Lettering, width: float) -> float:
    """Returns the height of all panels in points."""
    return sum(_panel(result.media[number], letters, width) for number in shown(result))


def put(sheet: Sheet, result: Attribution, row: int, scale: Scale, width: float, letters: Lettering) -> None:
    """Draws the panels from the top down, at the height that `height` says."""
    y = 0.0
    for number in shown(result):
        medium = result.media[number]
        if medium.grid is None:
            _put_strip(sheet, result, row, number, scale, y, width, letters)
        else:
            _put_picture(sheet, result, row, number, scale, y, width, letters)
        y += _panel(medium, letters, width)
    sheet.ax.set_xlim(0, sheet.width)  # pictures would set limits of their own
    sheet.ax.set_ylim(sheet.height, 0)


def _panel(medium: Medium, letters: Lettering, width: float) -> float:
    line = letters.size * SMALL * LINE
    if medium.grid is None:
        return STRIP + 2 * line + GAP
    return _size(medium, width)[1] + line + GAP


def _size(medium: Medium, width: float) -> tuple[float, float]:
    """Width and height of one picture; two stand side by side where the picture is known."""
    assert medium.grid is not None
    rows, columns = medium.grid if medium.size is None else medium.size
    if medium.thumbnail is not None:
        rows, columns = medium.thumbnail.shape[:2]
    each = (width - GAP) / 2 if medium.thumbnail is not None else width * 0.75
    wide = min(each, PICTURE * columns / rows)
    return wide, wide * rows / columns


def _put_picture(
    sheet: Sheet,
    result: Attribution,
    row: int,
    number: int,
    scale: Scale,
    top: float,
    width: float,
    letters: Lettering,
) -> None:
    medium = result.media[number]
    assert medium.grid is not None
    wide, high = _size(medium, width)
    x = 0.0
    flip = medium.kind == "audio"  # bands of frequency count from the lowest, at the bottom
    if medium.thumbnail is not None:
        _image(sheet, medium.thumbnail, x, top, wide, high)
        x += wide + GAP
        grey = medium.thumbnail.mean(axis=2, keepdims=True).repeat(3, axis=2)
        paper = np.array(sheet.palette.background, dtype=np.float64)
        _image(sheet, (0.55 * grey + 0.45 * paper).astype(np.uint8), x, top, wide, high)
    shades = cells(sheet, result, row, number, scale)
    _image(sheet, shades[::-1] if flip else shades, x, top, wide, high, gid=f"patches {number}")
    name = visible(medium.name)
    sheet.write(0, top + high + letters.size * SMALL * 1.1, name, colour=sheet.palette.soft, scale=SMALL)


def cells(sheet: Sheet, result: Attribution, row: int, number: int, scale: Scale) -> NDArray[np.float64]:
    """Returns the shade of every patch, float64 `[rows, columns, 4]`, red to opacity from 0 to 1."""
    grid = result.media[number].grid
    assert grid is not None
    shades = np.zeros((*grid, 4))
    strong = {
        sign: np.array(ramp[sheet.palette.ground][1]) / 255 for sign, ramp in ((1, RAMPS), (-1, AGAINST))
    }
    for j, player in enumerate(result.players):
        if player.medium == number and player.patches:
            fraction = scale.fraction(float(result.scores[row, j]))
            places: Any = tuple(zip(*player.patches))
            shades[places] = [*strong[1 if fraction >= 0 else -1], OPAQUE * abs(fraction)]
    return shades


def _image(
    sheet: Sheet, pixels: NDArray[Any], x: float, top: float, wide: float, high: float, gid: str | None = None
) -> None:
    sheet.ax.imshow(
        pixels,
        extent=(x, x + wide, top + high, top),
        aspect="auto",
        interpolation="nearest" if gid else "antialiased",
        zorder=2 if gid else 1,
        gid=gid,
    )


def _put_strip(
    sheet: Sheet,
    result: Attribution,
    row: int,
    number: int,
    scale: Scale,
    top: float,
    width: float,
    letters: Lettering,
) -> None:
    """Sound against time: its envelope, over bars as high as the scores."""
    from matplotlib.collections import PolyCollection

    medium, palette = result.media[number], sheet.palette
    parts = [
        (*player.time, scale.fraction(float(result.scores[row, j])))
        for j, player in enumerate(result.players)
        if player.medium == number and player.time is not None
    ]
    length = medium.duration or max((end for _, end, _ in parts), default=1.0)
    wave, bars = 0.45 * STRIP, 0.5 * STRIP
    base = top + STRIP
    boxes, colours = [], []
    for start, end, fraction in parts:
        left, right = (min(time / length, 1.0) * width for time in (start, end))
        if right > left and abs(fraction) > 0:
            high = max(abs(fraction) * bars, 0.6)
            boxes.append([(left, base), (right, base), (right, base - high), (left, base - high)])
            colours.append(
                hexadecimal(chip(max(abs(fraction), WEAKEST["light"]) * np.sign(fraction), palette.ground)[0])
            )
    sheet.ax.add_collection(
        PolyCollection(boxes, facecolors=colours, linewidths=0, gid=f"frames {number}"), autolim=False
    )
    if medium.envelope is not None:
        middle = top + wave / 2
        at = (np.arange(len(medium.envelope)) + 0.5) / len(medium.envelope) * width
        half = medium.envelope.astype(np.float64) * wave / 2
        sheet.ax.fill_between(at, middle - half, middle + half, color=palette.faded(0.45), linewidth=0)
    sheet.ax.plot([0, width], [base, base], color=palette.faded(0.35), linewidth=0.7)
    size = letters.size * SMALL
    steps = [0.0, length / 2, length]
    for time, place in zip(steps, ("left", "center", "right"), strict=True):
        sheet.write(
            time / length * width,
            base + size * 1.2,
            f"{time:.2f} s",
            colour=palette.soft,
            scale=SMALL,
            ha=place,
        )
    sheet.write(0, base + size * 2.5, visible(medium.name), colour=palette.soft, scale=SMALL)


def _single_spaced(pieces: Sequence[Any]) -> list[Any]:
    """The pieces without the blanks that stood between those taken out."""
    kept: list[Any] = []
    for piece in pieces:
        blank = piece.player is None and not piece.text.strip()
        if blank and (not kept or not kept[-1].text.strip()):
            continue
        kept.append(piece)
    return kept
