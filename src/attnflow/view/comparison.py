"""Results side by side in the terminal: the text once per result, the numbers in one table, how they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.errors import OptionError
from attnflow.view import caption, comparison_caption
from attnflow.view.numbers import counted, digits_for
from attnflow.view.passage import blocks, has_two_stacks, label_of, place_of, reading_order
from attnflow.view.shading import Scale, is_quiet, scale_for
from attnflow.view.terminal import DIM, MATRIX_FROM, MATRIX_ROWS, TOP, Pen, bullet

#: Lengths of a bar, the longest that fits; without bars the numbers are shaded.
BARS = (10, 6, 0)
#: Pairs of results for which many targets are listed.
PAIRS = 6


def render(comparison: Comparison, *, top: int | None = None, width: int | None = None) -> RenderableType:
    """Lays out a comparison for a rich console.

    Args:
        comparison: what to show.
        top: how many players the table keeps, those that score highest in any result, each measured on its own
            scale; default 15.
        width: columns to use; default the console's.

    Returns:
        A renderable that fits itself to the console it is printed on.

    Raises:
        OptionError: `top` or `width` is not positive.
    """
    for name, value in (("top", top), ("width", width)):
        if value is not None and value < 1:
            raise OptionError(f"{name}={value}: expected a number from 1 up.")
    return Constrain(_Display(comparison, TOP if top is None else top), width)


def show(comparison: Comparison, *, top: int | None = None, width: int | None = None) -> None:
    """Prints a comparison to the terminal. See `render` for the arguments."""
    Console(width=width).print(render(comparison, top=top))


@dataclass(frozen=True)
class _Column:
    """What a table shows of one result: numbers as text, places in the top, fractions of its own scale."""

    head: str
    numbers: list[str]
    places: list[str]
    fractions: list[float]

    @property
    def digits(self) -> int:
        """Width of the numbers with their places."""
        number, place = (max(map(cell_len, cells), default=0) for cells in (self.numbers, self.places))
        return number + (place + 1 if place else 0)

    def cell(self, j: int, bar: int, pen: Pen) -> Text:
        """Lays out the cell of one player."""
        room = max(map(cell_len, self.numbers), default=0)
        style = Style() if bar else pen.shade(self.fractions[j])
        text = Text(" " * (room - cell_len(self.numbers[j])))
        text.append(self.numbers[j], style + Style(bold=bool(self.places[j])))
        text.append(f" {self.places[j]}".ljust(self.digits - room), DIM)
        if bar:
            text.append(" ").append_text(pen.bar(self.fractions[j], bar))
        text.pad_right(max(self.digits + (bar + 1 if bar else 0) - cell_len(text.plain), 0))
        return text


@dataclass(frozen=True)
class _Display:
    comparison: Comparison
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        pen = Pen.for_console(console, options)
        comparison = self.comparison
        yield Text(comparison_caption.recipe(comparison), Style(bold=True))
        key = Table.grid(padding=(0, 1))
        key.add_column(justify="right", style=DIM, no_wrap=True)
        key.add_column(max_width=max(options.max_width // 3, 8), overflow="fold")
        key.add_column(overflow="fold")
        for number, (name, result) in enumerate(self._named(), start=1):
            sentence = Text(caption.caption(result), Style(italic=True))
            key.add_row(str(number), Text(name, Style(bold=True)), sentence)
        yield key
        targets = len(comparison[0].targets)
        if targets >= MATRIX_FROM and len(comparison) > 1:
            yield from self._many(pen)
        else:
            for row in range(min(targets, MATRIX_ROWS)):
                yield from self._target(row, pen, options)
        remarks = comparison_caption.remarks(comparison)
        units = comparison_caption.units(comparison)
        if units is not None:
            remarks.insert(0, units)
        if remarks:
            yield Text()
        for remark in remarks:
            yield bullet(remark)

    def _named(self) -> Iterator[tuple[str, Attribution]]:
        yield from zip(comparison_caption.names(self.comparison), self.comparison, strict=True)

    # -- one target ------------------------------------------------------------------------------------

    def _target(self, row: int, pen: Pen, options: ConsoleOptions) -> Iterator[RenderableType]:
        comparison = self.comparison
        title = Text("\n")
        title.append(comparison_caption.heading(comparison, row), Style(bold=True, underline=True))
        title.append(f"  {comparison_caption.subtitle(comparison, row)}", DIM)
        yield title
        yield from self._strips(row, pen)
        yield Text()
        shown = self._shown(row)
        yield from self._tables(row, shown, pen, options)
        rest = len(comparison[0].players) - len(shown)
        if rest:
            yield Padding(
                Text(f"… {counted(rest, 'player')} not in the table: lower in every result.", DIM),
                (0, 0, 0, 2),
            )
        if len(comparison) > 1:
            yield Text()
            yield from self._agreement(row, pen)
        yield Text()
        for sentence in comparison_caption.sentences(comparison, row):
            yield bullet(sentence)

    def _strips(self, row: int, pen: Pen) -> Iterator[RenderableType]:
        """The text once per result; only once where the console has no way to shade it."""
        shaded = pen.colour or pen.attributes
        strips = list(self._named()) if shaded else [("", self.comparison[0])]
        for number, (name, result) in enumerate(strips, start=1):
            scale = scale_for(result, [row])
            yield Text()
            if shaded:
                head = Text(f"{number} ", DIM)
                head.append(name, Style(bold=True, dim=False))
                legend = pen.legend(scale, result, brief=True)
                if legend is not None and scale.most > 0:
                    head.append("  ").append_text(legend)
                yield head
            for block in blocks(result, result.targets[row]):
                if block.label is not None:
                    yield Padding(Text(block.label, DIM), (0, 0, 0, 2), expand=False)
                text = Text(overflow="fold")
                for piece in block.pieces:
                    style = Style()
                    if piece.excluded:
                        style = Style(dim=True, strike=True)
                    elif piece.player is None or is_quiet(result.players[piece.player]):
                        style = DIM
                    elif shaded:
                        style = pen.shade(scale.fraction(float(result.scores[row, piece.player])))
                    if piece.target:
                        style += Style(underline=True, bold=True)
                    text.append(piece.text, style)
                yield Padding(text, (0, 0, 0, 2), expand=False)
        if shaded and len(strips) > 1:
            yield Padding(Text(comparison_caption.SCALES, DIM), (1, 0, 0, 2), expand=False)

    def _shown(self, row: int) -> list[int]:
        best = set(comparison_caption.standing(self.comparison, row)[: self.top])
        return [j for j in reading_order(self.comparison[0]) if j in best]

    def _columns(self, row: int, shown: Sequence[int]) -> list[_Column]:
        places = comparison_caption.places(self.comparison, row)
        plain = all(caption.unit(result) == "share" for result in self.comparison)
        found = []
        for (name, result), place in zip(self._named(), places, strict=True):
            scores = result.scores[row].tolist()
            digits = digits_for(scores, () if result.stderr is None else result.stderr[row].tolist())
            scale = scale_for(result, [row], quiet=True)
            found.append(
                _Column(
                    name if plain else f"{name}\n{caption.measure(result) or 'share'}",
                    [digits(score) if j in shown else "" for j, score in enumerate(scores)],
                    [text if j in shown else "" for j, text in enumerate(place)],
                    [scale.fraction(score) for score in scores],
                )
            )
        return found

    def _tables(
        self, row: int, shown: list[int], pen: Pen, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """One table if the results fit beside each other, else several of as many as fit."""
        first, columns = self.comparison[0], self._columns(row, shown)
        two = has_two_stacks(first)
        positions = [place_of(player, stack=two) for player in first.players]
        name = min(
            max(map(cell_len, ("player", *(label_of(first.players[j]) for j in shown)))),
            max(options.max_width // 4, 8),
        )
        place = max((cell_len(positions[j]) for j in shown), default=0)
        least = max((max(map(cell_len, column.head.split()), default=0) for column in columns), default=0)

        def width(column: _Column, bar: int) -> int:
            return max(column.digits + (bar + 1 if bar else 0), min(least, 12)) + 3

        for bar, fixed in [(bar, name + place + 6) for bar in BARS] + [(0, name + 3)]:
            if fixed + sum(width(column, bar) for column in columns) <= options.max_width:
                break
        with_place, room = fixed > name + 3, options.max_width - fixed
        groups: list[list[_Column]] = [[]]
        for column in columns:
            if groups[-1] and sum(width(other, bar) for other in (*groups[-1], column)) > room:
                groups.append([])
            groups[-1].append(column)
        for number, group in enumerate(groups):
            if number:
                yield Text()
            table = Table(box=box.ASCII2 if pen.ascii else box.SIMPLE_HEAD, show_edge=False, pad_edge=True)
            table.header_style = DIM
            if with_place:
                table.add_column("position", justify="right", style=DIM, max_width=place, overflow="crop")
                table.columns[-1].header = Text("at" if place > 1 else "#")
            table.add_column("player", no_wrap=True, overflow="ellipsis", max_width=name)
            for column in group:
                table.add_column(Text(column.head, overflow="fold"), width=width(column, bar) - 3)
            for j in shown:
                cells = [Text(positions[j])] if with_place else []
                cells.append(Text(label_of(first.players[j])))
                cells += [column.cell(j, bar, pen) for column in group]
                table.add_row(*cells, style=DIM if is_quiet(first.players[j]) else None)
            yield table

    # -- agreement -------------------------------------------------------------------------------------

    def _agreement(self, row: int, pen: Pen) -> Iterator[RenderableType]:
        comparison = self.comparison
        if len(comparison) == 2:
            yield bullet(comparison_caption.agreement(comparison, row))
            return
        found = comparison_caption.correlations(comparison, row)
        meaning = comparison_caption.CORRELATION
        if any("–" in line for line in found):
            meaning += f" {comparison_caption.NO_ORDER}"
        for sentence, matrix, values in (
            (meaning, found, comparison.rank_correlation(row)),
            (comparison_caption.overlap(comparison), comparison_caption.overlaps(comparison, row), None),
        ):
            yield bullet(sentence)
            table = Table(box=box.ASCII2 if pen.ascii else box.SIMPLE_HEAD, show_edge=False, pad_edge=True)
            table.header_style = DIM
            table.add_column("", justify="right", style=DIM)
            table.add_column("", no_wrap=True, overflow="ellipsis")
            for number in range(1, len(comparison) + 1):
                table.add_column(str(number), justify="right", no_wrap=True)
            shares = comparison.top_overlap(comparison_caption.top_size(comparison), row)
            for a, (name, _) in enumerate(self._named()):
                cells = [
                    Text(
                        text,
                        DIM if a == b else pen.shade(_shade((shares if values is None else values)[a, b])),
                    )
                    for b, text in enumerate(matrix[a])
                ]
                table.add_row(str(a + 1), Text(name), *cells)
            yield Padding(table, (0, 0, 1, 0), expand=False)

    def _many(self, pen: Pen) -> Iterator[RenderableType]:
        """Many targets: for each how pairs of results agree, without text and numbers."""
        comparison = self.comparison
        targets = comparison[0].targets
        pairs = list(comparison_caption.pairs(comparison, PAIRS))
        size = comparison_caption.top_size(comparison)
        yield Text(f"\n{counted(len(targets), 'target')} down, pairs of results across", DIM)
        yield Text()
        table = Table(box=box.ASCII2 if pen.ascii else box.SIMPLE_HEAD, show_edge=False, pad_edge=True)
        table.header_style = DIM
        table.add_column("", justify="right", style=DIM)
        table.add_column("target", no_wrap=True, overflow="ellipsis", max_width=24)
        for a, b in pairs:
            table.add_column(f"{a + 1} and {b + 1}", justify="right", no_wrap=True)
        rows = range(min(len(targets), MATRIX_ROWS))
        for row in rows:
            found, shared = (
                comparison_caption.correlations(comparison, row),
                comparison_caption.overlaps(comparison, row),
            )
            values = comparison.rank_correlation(row)
            cells = []
            for a, b in pairs:
                cell = Text(found[a][b].rjust(5), pen.shade(_shade(values[a, b])))
                cells.append(cell.append(f"  {shared[a][b]}".rjust(2 + len(f"{size}.5/{size}")), DIM))
            place = str(targets[row].positions[0])
            table.add_row(place, Text(comparison_caption.heading(comparison, row), Style(bold=True)), *cells)
        yield table
        if len(targets) > len(rows):
            rest = counted(len(targets) - len(rows), "target")
            yield Padding(Text(f"… {rest} not shown.", DIM), (0, 0, 0, 2), expand=False)
        yield Text()
        yield bullet(f"{comparison_caption.CORRELATION} {comparison_caption.NO_ORDER}")
        yield bullet(comparison_caption.overlap(comparison))
        yield bullet(f"For the text and the numbers ask for fewer than {MATRIX_FROM} targets.")


def _shade(value: float) -> float:
    return Scale(1.0).fraction(value)
