"""A result in the terminal: the text shaded by score, then the numbers.

Shading is never the only carrier: without colour the marks turn into underline, bold and reverse, and
without a terminal the table says it all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from attnflow.attribution import Attribution
from attnflow.errors import OptionError
from attnflow.view import caption
from attnflow.view.numbers import counted, digits_for, single
from attnflow.view.passage import (
    Block,
    blocks,
    has_two_stacks,
    label_of,
    place_of,
    reading_order,
)
from attnflow.view.shading import WEAKEST, Ground, Scale, chip, is_quiet, scale_for

#: Rows of a table unless `top` says otherwise.
TOP = 15
#: From this many targets on a matrix takes the place of one block per target.
MATRIX_FROM = 7
#: Targets a matrix shows before it says how many are left.
MATRIX_ROWS = 40

DIM = Style(dim=True)
#: Without colours: quarters of the scale.
MARKS = (Style(), Style(underline=True), Style(bold=True, underline=True), Style(reverse=True))
#: Without colours: what is added to a mark for a score below 0.
AGAINST = Style(italic=True)


def render(
    result: Attribution, *, bounds: bool = False, top: int | None = None, width: int | None = None
) -> RenderableType:
    """Lays out a result for a rich console.

    Args:
        result: what to show.
        bounds: add the interval over all maximum flows and the bottleneck layer, where the result has
            them.
        top: how many of the highest-scoring players the table keeps, in text order; default 15.
        width: columns to use; default the console's.

    Returns:
        A renderable that fits itself to the console it is printed on.

    Raises:
        OptionError: `top` or `width` is not positive, or bounds were asked of a result without them.
    """
    for name, value in (("top", top), ("width", width)):
        if value is not None and value < 1:
            raise OptionError(f"{name}={value}: expected a number from 1 up.")
    if bounds and result.upper is None:
        raise OptionError("This result has no bounds to show: compute it with bounds=True.")
    return Constrain(_Display(result, bounds, TOP if top is None else top), width)


def show(
    result: Attribution, *, bounds: bool = False, top: int | None = None, width: int | None = None
) -> None:
    """Prints a result to the terminal. See `render` for the arguments."""
    Console(width=width).print(render(result, bounds=bounds, top=top))


@dataclass(frozen=True)
class Pen:
    """How a console marks a shade: in colours, or failing these in text attributes; neither in a plain file."""

    colour: bool
    attributes: bool
    ascii: bool
    ground: Ground

    @classmethod
    def for_console(cls, console: Console, options: ConsoleOptions) -> Pen:
        """Returns the pen for a console and what is known about its background."""
        colour = not console.no_color and console.color_system in ("256", "truecolor")
        return cls(
            colour=colour,
            attributes=not colour and console.color_system is not None,
            ascii=options.ascii_only,
            ground="unknown" if console.is_jupyter else ground_of(os.environ.get("COLORFGBG", "")),
        )

    def shade(self, fraction: float) -> Style:
        """Returns the style of text with a shade from -1 to 1."""
        if abs(fraction) < WEAKEST[self.ground]:
            return Style()
        if self.colour:
            background, foreground = chip(fraction, self.ground)
            return Style(color=Color.from_rgb(*foreground), bgcolor=Color.from_rgb(*background))
        if not self.attributes:
            return Style()
        return MARKS[min(int(abs(fraction) * 4), 3)] + (AGAINST if fraction < 0 else Style())

    def bar(self, fraction: float, width: int) -> Text:
        """Returns a bar of a length from 0 to `width`, in the hue of the fraction's sign; hatched if it is negative."""
        part = min(abs(fraction), 1.0) * width
        if self.ascii:
            body = "#" * max(round(part), 1 if part > 0 else 0)
        else:
            eighths = max(round(part * 8), 1 if part > 0 else 0)
            body = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
        if fraction < 0:  # against, told without colour too
            body = ("-" if self.ascii else "▒") * max(round(part), 1)
        if not self.colour or not fraction:
            return Text(body)
        solid, _ = chip(1.0 if fraction > 0 else -1.0, self.ground)
        return Text(body, Style(color=Color.from_rgb(*solid)))

    def legend(self, scale: Scale, result: Attribution, *, brief: bool = False) -> Text | None:
        """Returns what the shades of a result mean, or None where there are none; `brief`: only the scale."""
        against = caption.has_two_signs(result)
        ends = (f"-{single(scale.most)}" if against else "0", single(scale.most))
        below, above = caption.ends(result)
        ends = (f"{below} {ends[0]}".lstrip(), f"{ends[1]} {above}".rstrip())
        text = Text("shade ", DIM)
        if self.colour:
            text.append(f"{ends[0]} ", DIM)
            for step in range(-7 if against else 1, 8):
                text.append(" ", self.shade(step / 7))
        elif self.attributes and brief:
            text.append("from " + ends[0] + " to" if against else "up to", DIM)
        elif self.attributes:
            text.append("in quarters: none, ", DIM)
            for mark, name in zip(MARKS[1:], ("underlined", "bold", "reverse"), strict=True):
                text.append(name, mark)
                text.append(" ")
            if against:
                text.append("italic", AGAINST)
                text.append(" below 0, ", DIM)
            text.append("up to", DIM)
        else:
            return None
        text.append(f" {ends[1]}", DIM)
        if not brief and any(is_quiet(player) for player in result.players):
            text.append("; special tokens dimmed, not shaded", DIM)
        return text


def ground_of(colorfgbg: str) -> Ground:
    """Returns what the environment variable COLORFGBG ("15;0") says about the terminal's background."""
    last = colorfgbg.rsplit(";", 1)[-1]
    if not last.isdigit():
        return "unknown"
    return "light" if int(last) == 7 or 9 <= int(last) <= 15 else "dark"


@dataclass(frozen=True)
class _Display:
    result: Attribution
    bounds: bool
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        pen = Pen.for_console(console, options)
        result = self.result
        head = Text(caption.recipe(result), Style(bold=True))
        head.append(f"\n{caption.caption(result)}", Style(bold=False, italic=True))
        yield head
        if len(result.targets) >= MATRIX_FROM:
            yield from self._matrix(pen, options)
        else:
            for row in range(len(result.targets)):
                yield from self._target(row, pen, options)
        remarks = list(caption.remarks(result))
        if self._one_total():
            remarks.insert(0, caption.total(result, 0))
        if self.bounds:
            remarks.append(caption.bounds(self.result))
        if remarks:
            yield Text()
        for remark in remarks:
            yield bullet(remark)

    # -- one target ------------------------------------------------------------------------------------

    def _target(self, row: int, pen: Pen, options: ConsoleOptions) -> Iterator[RenderableType]:
        result, target = self.result, self.result.targets[row]
        title = Text("\n")
        title.append(caption.heading(target), Style(bold=True, underline=True))
        title.append(f"  {caption.subtitle(target)}", DIM)
        yield title
        scale = scale_for(result, [row])
        for block in blocks(result, target):
            yield Text()
            if block.label is not None:
                yield Text(block.label, DIM)
            yield Padding(self._passage(block, row, scale, pen), (0, 0, 0, 2), expand=False)
        legend = pen.legend(scale, result)
        if legend is not None and scale.most > 0:
            yield Padding(legend, (1, 0, 0, 2), expand=False)
        yield Text()
        shown = self._shown(np.abs(result.scores[row]))
        yield self._table(row, shown, pen, options)
        left_out = caption.hidden(result, row, shown)
        if left_out is not None:
            yield Padding(Text(f"… {left_out}", DIM), (0, 0, 0, 2), expand=False)
        sentences = list(caption.warnings(result, row))
        if not self._one_total():
            sentences.insert(0, caption.total(result, row))
        if sentences:
            yield Text()
        for sentence in sentences:
            yield bullet(sentence)

    def _one_total(self) -> bool:
        """True if what is to be said of the totals is the same for every target."""
        return len({caption.total(self.result, row) for row in range(len(self.result.targets))}) == 1

    def _shown(self, weight: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[int]:
        best = {j for j in np.argsort(-weight, kind="stable")[: self.top].tolist() if weight[j] != 0}
        return [j for j in reading_order(self.result) if j in best]

    def _passage(self, block: Block, row: int, scale: Scale, pen: Pen) -> Text:
        text = Text(overflow="fold")
        for piece in block.pieces:
            style = Style()
            if piece.excluded:
                style = Style(dim=True, strike=True)
            elif piece.player is None or is_quiet(self.result.players[piece.player]):
                style = DIM
            else:
                style = pen.shade(scale.fraction(float(self.result.scores[row, piece.player])))
            if piece.target:
                style += Style(underline=True, bold=True)
            text.append(piece.text, style)
        return text

    def _table(self, row: int, shown: list[int], pen: Pen, options: ConsoleOptions) -> Table:
        result = self.result
        scores = result.scores[row]
        errors = None if result.stderr is None else result.stderr[row]
        sides = caption.sides(result, row)
        digits = digits_for(
            [*scores.tolist(), *(side for part in sides.values() for side in part)],
            () if errors is None else errors.tolist(),
        )
        widest = Scale(float(np.abs(scores).max(initial=0.0)))
        two = has_two_stacks(result)
        columns: dict[str, list[str]] = {
            "position": [place_of(result.players[j], stack=two) for j in shown],
            "player": [label_of(result.players[j]) for j in shown],
            "score": [digits(float(scores[j])) for j in shown],
        }
        if errors is not None:
            columns["±"] = [digits(float(errors[j])) for j in shown]
        for side, values in sides.items():
            columns[side] = [digits(values[j]) for j in shown]
        columns["bar"] = [" " * (20 if options.max_width >= 60 else 8)]
        if self.bounds:
            intervals = caption.intervals(result, row)
            columns["interval"] = [intervals[j] for j in shown]
            if result.bottleneck is not None:
                columns["bottleneck"] = [caption.layer(result, row, j) for j in shown]
        heads = {name: "" if name == "bar" else name for name in columns}
        heads["score"] = "\n".join(["score", *caption.measure(result).split()])
        widths = {
            name: max(map(cell_len, (*heads[name].split("\n"), *cells))) for name, cells in columns.items()
        }
        for name in (
            "position",
            "bar",
            "bottleneck",
            "interval",
            "against",
            "for",
            "±",
        ):  # left out, never cut
            if (
                12 + sum(width + 3 for other, width in widths.items() if other != "player")
                <= options.max_width
            ):
                break
            widths.pop(name, None)
        table = Table(box=box.SIMPLE_HEAD if not pen.ascii else box.ASCII2, show_edge=False, pad_edge=True)
        table.header_style = DIM
        for name in widths:
            left = name in ("player", "bar", "bottleneck") or (name == "position" and two)
            table.add_column(
                heads[name],
                justify="left" if left else "right",
                style=DIM if name in ("position", "±") else "",
                no_wrap=True,
                overflow="ellipsis",
                width=None if name == "player" else widths[name],
                max_width=max(options.max_width // 3, 8) if name == "player" else None,
            )
        for place, j in enumerate(shown):
            bar = pen.bar(widest.fraction(float(scores[j])), widths.get("bar", 0))
            table.add_row(
                *(bar if name == "bar" else Text(columns[name][place]) for name in widths),
                style=DIM if is_quiet(result.players[j]) else None,
            )
        return table

    # -- many targets ----------------------------------------------------------------------------------

    def _matrix(self, pen: Pen, options: ConsoleOptions) -> Iterator[RenderableType]:
        result = self.result
        rows = list(range(min(len(result.targets), MATRIX_ROWS)))
        scale = scale_for(result, rows)
        errors = [] if result.stderr is None else result.stderr[rows].ravel().tolist()
        digits = digits_for([scale.most], errors, significant=2 if scale.most < 0.9995 else 3)
        cell = max(len(digits(-scale.most if np.any(result.scores < 0) else scale.most)), 5)
        names = [caption.heading(target) for target in result.targets]
        first = min(max((cell_len(names[row]) for row in rows), default=0), options.max_width // 4)
        number = max(len(str(target.positions[0])) for target in result.targets)
        room = max((options.max_width - first - number - 6) // (cell + 3), 1)
        peak = np.abs(result.scores[rows]).max(axis=0, initial=0.0)
        shown = self._shown(peak)
        if len(shown) > room:
            best = set(sorted(shown, key=lambda j: -peak[j])[:room])
            shown = [j for j in shown if j in best]
        yield Text(f"\n{counted(len(result.targets), 'target')} down, players across", DIM)
        yield Text()
        table = Table(box=box.SIMPLE_HEAD if not pen.ascii else box.ASCII2, show_edge=False, padding=(0, 1))
        table.add_column("", justify="right", style=DIM, no_wrap=True)
        table.add_column("target", no_wrap=True, overflow="ellipsis", max_width=first)
        for j in shown:
            header = Text(label_of(result.players[j]), DIM if is_quiet(result.players[j]) else Style())
            header.truncate(cell, overflow="ellipsis")
            table.add_column(header, justify="right", no_wrap=True, min_width=cell)
        for row in rows:
            cells: list[Text | str] = [
                str(result.targets[row].positions[0]),
                Text(names[row], Style(bold=True)),
            ]
            for j in shown:
                score = float(result.scores[row, j])
                quiet = is_quiet(result.players[j])
                style = DIM if quiet or not score else pen.shade(scale.fraction(score))
                cells.append(Text(digits(score).rjust(cell), style))
            table.add_row(*cells)
        yield table
        lines = []
        if len(shown) < len(result.players):
            rest = counted(len(result.players) - len(shown), "player")
            lines.append(f"{rest} with lower scores not shown.")
        if len(rows) < len(result.targets):
            rest = counted(len(result.targets) - len(rows), "target")
            lines.append(f"{rest} not shown: ask for fewer to see them.")
        if lines:
            yield Padding(Text("… " + " ".join(lines), DIM), (0, 0, 0, 2), expand=False)
        legend = pen.legend(scale, result)
        if legend is not None and scale.most > 0:
            yield Padding(legend, (1, 0, 0, 2), expand=False)
        sentences = []
        if not self._one_total():
            low, high = single(float(result.total.min())), single(float(result.total.max()))
            sentences.append(f"Total v(N) runs from {low} to {high} over the targets.")
        flat = sum(caption.is_uniform(result, row) for row in range(len(result.targets)))
        if flat:
            sentences.append(
                f"Nearly uniform for {flat} of {len(result.targets)} targets: there the ranking says little."
            )
        noise = sum(caption.is_noise(result, row) for row in range(len(result.targets)))
        if noise:
            sentences.append(
                f"For {noise} of {len(result.targets)} targets the scores of the text differ by no more than "
                "two standard errors of sampling."
            )
        if sentences:
            yield Text()
        for sentence in sentences:
            yield bullet(sentence)


def bullet(sentence: str) -> RenderableType:
    """Returns a sentence set in from the left."""
    return Padding(Text(sentence), (0, 0, 0, 2), expand=False)
