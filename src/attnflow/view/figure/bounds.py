"""Figure "bounds": every score in its interval over all maximum flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnflow.attribution import Attribution
from attnflow.errors import OptionError
from attnflow.view import caption
from attnflow.view.figure.lettering import HINTED, Lettering
from attnflow.view.figure.sheet import SMALL, Margins, Picture, Sheet
from attnflow.view.numbers import counted
from attnflow.view.passage import has_two_stacks, label_of, place_of, reading_order
from attnflow.view.ribbons import row_of
from attnflow.view.shading import is_quiet

#: Rows at most, unless the caller asks for more.
ROWS = 40
#: Height of numbers, unit and legend, as part of the font's size.
BELOW = 4.6
#: Widest name in points.
WIDEST = 150.0


def bounds(result: Attribution, target: int | Sequence[int] | None = None, top: int | None = None) -> Picture:
    """Composes the intervals of one target.

    Args:
        result: the result, with bounds.
        target: which target, by position; the first if left out.
        top: how many players, those with the highest scores; None: up to 40.

    Raises:
        OptionError: the result has no bounds.
    """
    row = row_of(result, target)
    if result.upper is None:
        why = (
            "a signed score has none"
            if result.supporting is not None
            else "it was computed with bounds=False"
        )
        raise OptionError(
            f"This result has no bounds: {why}. Choose another kind of figure, or compute them."
        )
    if caption.unit(result) != result.unit:
        raise OptionError(
            f"Scores of method {result.method!r} are parts of 1 and intervals are in {result.unit!r}, so that "
            "one axis cannot show both: choose another kind of figure, or another method."
        )
    shown = strongest(result, row, ROWS if top is None else top)
    two = has_two_stacks(result)
    names = [label_of(result.players[j]) for j in shown]
    if two:
        names = [f"{name}  {place_of(result.players[j], stack=True)}" for name, j in zip(names, shown)]
    sentences = [caption.place(result, row), caption.caption(result)]
    if len(shown) < len(result.players):
        left = len(result.players) - len(shown)
        sentences.append(f"Not shown: {counted(left, 'player')} with lower scores.")

    def height(width: float, letters: Lettering) -> float:
        return letters.size * (1.5 * len(shown) + 0.6)

    def margins(letters: Lettering) -> Margins:
        longest = max(letters.width(name) for name in names)
        return Margins(left=min(longest * HINTED, WIDEST) + 10, below=letters.size * BELOW)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, result, row, shown, names)

    return Picture(
        heading=caption.heading(result.targets[row]),
        sentences=tuple(sentences),
        texts=(*names, "…"),
        height=height,
        draw=draw,
        margins=margins,
    )


def strongest(result: Attribution, row: int, count: int) -> list[int]:
    """Returns the columns of the `count` scores furthest from 0, in reading order."""
    best = set(np.argsort(-np.abs(result.scores[row]), kind="stable")[: max(count, 1)].tolist())
    return [j for j in reading_order(result) if j in best]


def _draw(sheet: Sheet, result: Attribution, row: int, shown: Sequence[int], names: Sequence[str]) -> None:
    ax, palette, letters = sheet.ax, sheet.palette, sheet.letters
    at = np.arange(len(shown))
    columns = list(shown)
    scores = result.scores[row, columns]
    assert result.upper is not None
    high = result.upper[row, columns]
    low = scores if result.lower is None else result.lower[row, columns]
    interval = "highest share" if result.lower is None else "interval over all maximum flows"
    if result.method == "flow":
        interval = "interval of its share over all maximum flows"
    handles: list[Any] = [
        ax.hlines(at, low, high, color=palette.faded(0.45), linewidth=1.4, label=interval, zorder=2),
    ]
    cap = 0.22
    ends = (high,) if result.lower is None else (low, high)
    for end in ends:
        ax.vlines(end, at - cap, at + cap, color=palette.faded(0.45), linewidth=1.4, zorder=2)
    if result.stderr is not None:
        errors = result.stderr[row, columns]
        handles.append(
            ax.hlines(
                at,
                scores - errors,
                scores + errors,
                color=palette.strong,
                alpha=0.4,
                linewidth=5,
                label="± standard error",
                zorder=3,
            )
        )
    handles.insert(
        0, ax.scatter(scores, at, s=26, color=palette.strong, zorder=4, label="score", linewidths=0)
    )
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(left=min(0.0, float(low.min(initial=0))))
    ax.margins(x=0.03)
    limit = max(float(high.max(initial=0.0)), float(scores.max(initial=0.0)))
    ax.set_xlim(right=limit * 1.04 if limit > 0 else 1.0)
    ax.set_yticks(
        at, [letters.fitting(sheet.letters.shown(name), WIDEST) for name in names], **letters.style()
    )
    for label, j in zip(ax.get_yticklabels(), shown, strict=True):
        label.set_color(palette.soft if is_quiet(result.players[j]) else palette.ink)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", colors=palette.soft, labelsize=letters.size * SMALL)
    unit = caption.measure(result)
    ax.set_xlabel(f"score ({unit})" if unit else "score", color=palette.ink, fontsize=letters.size * SMALL)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(palette.faded(0.35))
    ax.set_axisbelow(True)
    ax.grid(False)
    ax.grid(axis="x", color=palette.faded(0.12), linewidth=0.7)
    _legend(sheet, handles)


def _legend(sheet: Sheet, handles: Sequence[Any]) -> None:
    """Draws a legend: under the axes of a figure of our own, else where the axes have room."""
    place: dict[str, Any] = {"loc": "best", "frameon": True}
    if sheet.own:
        below = -BELOW * sheet.letters.size / sheet.height
        place = {"loc": "lower left", "bbox_to_anchor": (0, below), "ncols": 3, "frameon": False}
        place |= {"borderpad": 0, "borderaxespad": 0, "columnspacing": 1.6}
    sheet.ax.legend(
        handles=list(handles),
        labelcolor=sheet.palette.ink,
        fontsize=sheet.letters.size * SMALL,
        facecolor=sheet.palette.faded(0.0),
        edgecolor=sheet.palette.faded(0.2),
        handlelength=1.6,
        **place,
    )
