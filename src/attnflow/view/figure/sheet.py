"""The sheet that a figure is drawn on: one axes, its colours and its lettering.

Either the caller's axes, whose size is given, or a figure of our own, as high as what it shows needs.
Positions inside the plain kind of axes are points (1/72 inch) from the top left, so that text can be laid
out before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnflow.errors import OptionError
from attnflow.view.figure.lettering import Lettering, lettering
from attnflow.view.figure.palette import Palette, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Makes an empty figure of a size in inches.
Maker = Callable[[tuple[float, float]], "Figure"]

#: Width of a figure of our own, in inches: the text width of most papers.
WIDTH = 6.5
#: White around everything on it, in points.
MARGIN = 8.0
#: Size of secondary text, as part of the style's own.
SMALL = 0.85
#: Height of a line, as part of its font's size.
LINE = 1.35


@dataclass(frozen=True)
class Sheet:
    """Where one figure is drawn.

    Attributes:
        ax: the axes.
        palette: colours for its background.
        letters: fonts for everything written on it.
        width: of the axes in points.
        height: of the axes in points.
        own: True if the figure is ours alone, so that headings and legends may stand outside of the axes.
    """

    ax: Axes
    palette: Palette
    letters: Lettering
    width: float
    height: float
    own: bool

    def write(self, x: float, y: float, text: str, *, colour: str | None = None, **options: Any) -> None:
        """Writes text at data coordinates; `bold` and `scale` as in `Lettering.style`."""
        style = self.letters.style(bold=options.pop("bold", False), scale=options.pop("scale", 1.0))
        self.ax.text(x, y, self.letters.shown(text), color=colour or self.palette.ink, **style, **options)


@dataclass(frozen=True)
class Margins:
    """Room in points beside an axes for its ticks, names and legend."""

    left: float = 0.0
    right: float = 0.0
    above: float = 0.0
    below: float = 0.0


@dataclass(frozen=True)
class Picture:
    """What one kind of figure shows, before there is anything to draw it on.

    Attributes:
        heading: what it is about.
        sentences: what a reader has to know beside it, in smaller text.
        texts: everything else that it writes, so that fonts can be chosen.
        height: from the width of the axes in points and the lettering to the height it needs in points.
        draw: draws it.
        margins: None for a plain surface without ticks; else from the lettering to the room around the axes.
        width: of a figure of our own in inches.
    """

    heading: str
    sentences: tuple[str, ...]
    texts: tuple[str, ...]
    height: Callable[[float, Lettering], float]
    draw: Callable[[Sheet], None]
    margins: Callable[[Lettering], Margins] | None = None
    width: float = WIDTH


def draw_into(picture: Picture, ax: Axes) -> Axes:
    """Draws a picture into an axes that the caller made, at the size it has.

    Returns:
        The axes.
    """
    width, height = _measure(ax)
    letters = lettering((picture.heading, *picture.sentences, *picture.texts))
    sheet = Sheet(ax, palette_of(ax), letters, width, height, own=False)
    _fill(sheet, picture, _lines(picture, letters, width), Margins())
    return ax


def draw_new(
    pictures: Sequence[Picture], maker: Maker, figsize: tuple[float, float] | None = None
) -> list[Axes]:
    """Draws pictures on a figure of their own, one under the other.

    Args:
        pictures: what to draw.
        maker: makes the empty figure.
        figsize: of the figure in inches; None: as the pictures need.

    Returns:
        An axes for each.

    Raises:
        OptionError: a size that leaves no room for anything but headings and legends.
    """
    letters = lettering(
        text for picture in pictures for text in (picture.heading, *picture.sentences, *picture.texts)
    )
    wide = 72 * (max(picture.width for picture in pictures) if figsize is None else figsize[0])
    margins = [Margins() if part.margins is None else part.margins(letters) for part in pictures]
    lines = [_lines(picture, letters, wide - 2 * MARGIN) for picture in pictures]
    inner = [wide - 2 * MARGIN - beside.left - beside.right for beside in margins]
    if min(inner) < 4 * letters.size:
        raise OptionError(
            f"A figure {wide / 72:.1f} inches wide leaves no room beside the names: make it wider."
        )
    fixed = [
        _heading_height(letters.size, len(part)) + beside.above + beside.below + MARGIN * 1.5
        for part, beside in zip(lines, margins, strict=True)
    ]
    bodies = [picture.height(width, letters) for picture, width in zip(pictures, inner, strict=True)]
    if figsize is not None:
        left = 72 * figsize[1] - MARGIN / 2 - sum(fixed)
        if left < 4 * letters.size * len(pictures):
            raise OptionError(
                f"A figure {figsize[1]:.1f} inches high leaves no room beside headings and legends of "
                f"{sum(fixed) / 72:.1f}: make it higher."
            )
        bodies = [left * body / sum(bodies) for body in bodies]
    full = sum(fixed) + sum(bodies) + MARGIN / 2
    figure = maker((wide / 72, full / 72))
    axes, y = [], 0.0
    for picture, beside, part, width, room, body in zip(
        pictures, margins, lines, inner, fixed, bodies, strict=True
    ):
        bottom = full - (y + room + body) + MARGIN / 2 + beside.below
        ax = figure.add_axes(((MARGIN + beside.left) / wide, bottom / full, width / wide, body / full))
        sheet = Sheet(ax, palette_of(ax), letters, width, body, own=True)
        _fill(sheet, picture, part, beside)
        axes.append(ax)
        y += room + body
    return axes


def _fill(sheet: Sheet, picture: Picture, lines: Sequence[str], beside: Margins) -> None:
    """Draws a picture and its heading; `lines` are the sentences, already wrapped."""
    if picture.margins is None:
        sheet.ax.set_axis_off()
        sheet.ax.set_xlim(0, sheet.width)
        sheet.ax.set_ylim(sheet.height, 0)
    picture.draw(sheet)
    letters, size = sheet.letters, sheet.letters.size
    whole = sheet.width + beside.left + beside.right
    sheet.ax.set_title(
        letters.shown(letters.fitting(picture.heading, whole, bold=True, scale=1.1)),
        loc="left",
        x=-beside.left / sheet.width,
        pad=8 + beside.above + len(lines) * LINE * size * SMALL,
        color=sheet.palette.ink,
        **letters.style(bold=True, scale=1.1),
    )
    for number, line in enumerate(reversed(lines)):
        sheet.ax.annotate(
            letters.shown(line),
            (0, 1),
            (-beside.left, 6 + beside.above + number * LINE * size * SMALL),
            xycoords="axes fraction",
            textcoords="offset points",
            color=sheet.palette.soft,
            va="bottom",
            annotation_clip=False,
            **letters.style(scale=SMALL),
        )


def _heading_height(size: float, lines: int) -> float:
    return LINE * size * 1.1 + lines * LINE * size * SMALL + 6


def _measure(ax: Axes) -> tuple[float, float]:
    """Width and height of an axes in points, after its figure's layout."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "an axes without a figure"
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    box = ax.get_window_extent()
    return box.width * 72 / figure.dpi, box.height * 72 / figure.dpi


def _lines(picture: Picture, letters: Lettering, width: float) -> list[str]:
    return [line for sentence in picture.sentences for line in letters.wrapped(sentence, width, scale=SMALL)]
