"""Figure "matrix": every target in a row, every player in a column, shaded by score from 0."""

from __future__ import annotations

import numpy as np

from attnflow.attribution import Attribution
from attnflow.view import caption
from attnflow.view.figure.lettering import HINTED, Lettering
from attnflow.view.figure.sheet import LINE, SMALL, Margins, Picture, Sheet
from attnflow.view.numbers import counted, digits_for
from attnflow.view.passage import has_two_stacks, label_of, reading_order
from attnflow.view.shading import is_quiet, scale_for

#: Cells beyond which a vector figure holds them as one picture.
CELLS = 20_000
#: Widest names of rows and of columns, in points.
ROW_NAME, COLUMN_NAME = 110.0, 90.0


def matrix(result: Attribution, special: bool = True) -> Picture:
    """Composes the heat map of all targets.

    Args:
        result: the result.
        special: shade special tokens too; False leaves them blank, and they do not count for the scale.
    """
    rows = len(result.targets)
    columns = list(reading_order(result))
    names = [label_of(result.players[j]) for j in columns]
    targets = caption.told_apart([caption.heading(target) for target in result.targets], result.targets)

    def height(width: float, letters: Lettering) -> float:
        cell = min(width / len(columns), letters.size * 1.7)
        if rows <= 40:
            cell = max(cell, letters.size * 1.25)
        return max(min(cell * rows, 560.0), letters.size * 2.5)

    def margins(letters: Lettering) -> Margins:
        across, up = (
            max(letters.width(name, scale=SMALL) * HINTED for name in part) for part in (targets, names)
        )
        bar = letters.width("0.0000", scale=SMALL) + letters.size * SMALL * 1.5 + 26
        above = letters.size * SMALL * LINE if two else 0.0
        return Margins(min(across, ROW_NAME) + 8, bar, above, min(up, COLUMN_NAME) + 8)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, result, columns, names, targets, special)

    two = has_two_stacks(result)
    sentence = "Rows are targets, columns are players."
    if not special and any(is_quiet(player) for player in result.players):
        sentence += " Special tokens are left blank."
    return Picture(
        heading=f"What {counted(rows, 'target')} {'draws' if rows == 1 else 'draw'} on",
        sentences=(caption.caption(result).replace("named above the text", "that its row names"), sentence),
        texts=(*names, *targets, "source", "decoder", "…"),
        height=height,
        draw=draw,
        margins=margins,
    )


def _draw(
    sheet: Sheet, result: Attribution, columns: list[int], names: list[str], targets: list[str], special: bool
) -> None:
    ax, palette, letters = sheet.ax, sheet.palette, sheet.letters
    signed = caption.has_two_signs(result)
    scale = scale_for(result, range(len(result.targets)), quiet=special)
    most = scale.most if scale.most > 0 else 1.0
    scores = np.ma.masked_array(result.scores[:, columns])
    if not special:
        quiet = np.array([is_quiet(result.players[j]) for j in columns], dtype=bool)
        if not quiet.all():
            scores = np.ma.masked_where(np.broadcast_to(quiet, scores.shape), scores)
    mesh = ax.pcolormesh(
        scores,
        cmap=palette.ramp(signed=signed),
        vmin=-most if signed else 0.0,
        vmax=most,
        rasterized=scores.size > CELLS,
        edgecolors="none",
    )
    ax.set_ylim(len(targets), 0)
    ax.set_xlim(0, len(columns))
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_color(palette.faded(0.25))
    _name_columns(sheet, result, columns, names)
    _name_rows(sheet, targets)
    _part_stacks(sheet, result, columns)
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, cax=ax.inset_axes((1 + 8 / sheet.width, 0, 9 / sheet.width, 1)))
    bar.outline.set_visible(False)
    unit = caption.measure(result)
    bar.ax.tick_params(colors=palette.soft, labelsize=letters.size * SMALL, length=2)
    bar.set_label(f"score ({unit})" if unit else "score", color=palette.ink, fontsize=letters.size * SMALL)
    digits = digits_for([most], significant=2)
    ticks = [-most, 0.0, most] if signed else [0.0, most / 2, most]
    bar.set_ticks(ticks, labels=[digits(tick) for tick in ticks])


def _name_columns(sheet: Sheet, result: Attribution, columns: list[int], names: list[str]) -> None:
    """Names as many columns as have room, the highest-scoring first."""
    pitch = sheet.width / len(columns)
    apart = max(1, int(np.ceil(sheet.letters.size * SMALL * 1.15 / pitch)))
    peaks = np.abs(result.scores[:, columns]).max(axis=0)
    taken = np.zeros(len(columns), dtype=bool)
    named = []
    for place in np.argsort(-peaks, kind="stable").tolist():
        if not taken[max(0, place - apart + 1) : place + apart].any():
            taken[place] = True
            named.append(place)
    named.sort()
    ax, palette, letters = sheet.ax, sheet.palette, sheet.letters
    ax.set_xticks(
        [place + 0.5 for place in named],
        [letters.fitting(sheet.letters.shown(names[place]), COLUMN_NAME, scale=SMALL) for place in named],
        rotation=90,
        **letters.style(scale=SMALL),
    )
    for label, place in zip(ax.get_xticklabels(), named, strict=True):
        label.set_color(palette.soft if is_quiet(result.players[columns[place]]) else palette.ink)
    ax.tick_params(axis="x", length=2 if len(named) < len(columns) else 0, color=palette.faded(0.4))


def _name_rows(sheet: Sheet, targets: list[str]) -> None:
    """Names every row, or every so many where there are too many to read."""
    pitch = sheet.height / len(targets)
    every = max(1, int(np.ceil(sheet.letters.size * SMALL * 1.15 / pitch)))
    named = list(range(0, len(targets), every))
    ax, letters = sheet.ax, sheet.letters
    ax.set_yticks(
        [place + 0.5 for place in named],
        [letters.fitting(sheet.letters.shown(targets[place]), ROW_NAME, scale=SMALL) for place in named],
        **letters.style(scale=SMALL),
    )
    for label in ax.get_yticklabels():
        label.set_color(sheet.palette.ink)
    ax.tick_params(axis="y", length=0)


def _part_stacks(sheet: Sheet, result: Attribution, columns: list[int]) -> None:
    """Parts the source's columns from the decoder's."""
    if not has_two_stacks(result):
        return
    source = sum(result.players[j].nodes[0][0] == "encoder" for j in columns)
    sheet.ax.axvline(source, color=sheet.palette.ink, linewidth=1.0)
    for x, name in ((source / 2, "source"), ((source + len(columns)) / 2, "decoder")):
        sheet.ax.annotate(
            name,
            (x, 0),
            (0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=sheet.palette.soft,
            **sheet.letters.style(scale=SMALL),
        )
