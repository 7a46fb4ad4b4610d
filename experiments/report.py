"""What a study found, as its readers get it: tables in CSV and in the documentation, figures in SVG.

A table goes to `experiments/results/STUDY/NAME.csv` in full precision, and rounded into the page
`docs/studies/STUDY.md`, between the lines

    <!-- table: NAME -->
    <!-- end: NAME -->

A figure goes to `docs/studies/figures/STUDY-NAME.svg`. A single figure in the text stands in a table too.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from attnflow.evaluate import Interval
from attnflow.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"
PAGES = ROOT / "docs" / "studies"

Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its file and its place in the page.
        columns: headings.
        rows: one cell per column; None where there is no figure.
        digits: decimals of numbers in the page, for all columns or per column.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: int | Sequence[int] = 3

    def __post_init__(self) -> None:
        """Checks that rows fit the columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Table {self.name}: a row of {len(row)} cells under {len(self.columns)} columns."
                )

    def places(self, column: int) -> int:
        return self.digits if isinstance(self.digits, int) else self.digits[column]


def publish(study: str, command: str, tables: Sequence[Table], *, root: Path = ROOT) -> None:
    """Writes tables as CSV and into the study's page.

    Args:
        study: the study's name.
        command: what a reader runs to have them made again; stands below every table.
        tables: to write.
        root: of the project.

    Raises:
        ValueError: the page has no place for a table.
    """
    page = root / "docs" / "studies" / f"{study}.md"
    text = page.read_text(encoding="utf-8")
    for table in tables:
        text = placed(text, table.name, f"{markdown(table)}\n\n*`{command}`*")
    folder = root / "experiments" / "results" / study
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        write_whole(folder / f"{table.name}.csv", as_csv(table))
    write_whole(page, text)


def placed(text: str, name: str, body: str) -> str:
    """A page with a body between the two marks of a name.

    Raises:
        ValueError: a mark is missing.
    """
    opening, closing = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
    if text.count(opening) != 1 or text.count(closing) != 1:
        raise ValueError(f"The page needs the lines {opening} and {closing} once each.")
    head, rest = text.split(opening)
    return f"{head}{opening}\n{body}\n{closing}{rest.split(closing)[1]}"


def as_csv(table: Table) -> str:
    """The table in full; an interval takes three columns."""
    wide = [any(isinstance(row[c], Interval) for row in table.rows) for c in range(len(table.columns))]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    heads = [
        [name, f"{name} lower", f"{name} upper"] if is_wide else [name]
        for name, is_wide in zip(table.columns, wide)
    ]
    writer.writerow(chain.from_iterable(heads))
    for row in table.rows:
        writer.writerow(chain.from_iterable(_cells(cell, is_wide) for cell, is_wide in zip(row, wide)))
    return file.getvalue()


def markdown(table: Table) -> str:
    """The table as readers see it; numbers stand at the right."""
    numeric = [
        any(isinstance(row[c], (int, float, Interval)) for row in table.rows)
        for c in range(len(table.columns))
    ]
    lines = [
        "| " + " | ".join(table.columns) + " |",
        "|" + "|".join("---:" if is_numeric else "---" for is_numeric in numeric) + "|",
    ]
    lines.extend(
        "| " + " | ".join(shown(cell, table.places(c)) for c, cell in enumerate(row)) + " |"
        for row in table.rows
    )
    return "\n".join(lines)


def shown(cell: Cell, digits: int = 3) -> str:
    """A cell as readers see it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, Interval):
        return f"{shown(cell.estimate, digits)} ({shown(cell.lower, digits)}–{shown(cell.upper, digits)})"
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}".replace("-", "−")
    return f"{cell:,}" if isinstance(cell, int) else cell.replace("|", "\\|")


def _cells(cell: Cell, wide: bool) -> list[str | int | float | None]:
    if isinstance(cell, Interval):
        return [cell.estimate, cell.lower, cell.upper]
    return [cell, None, None] if wide else [cell]


@contextmanager
def figure(
    study: str, name: str, *, width: float = 7.0, height: float = 4.0, root: Path = ROOT
) -> Iterator[Figure]:
    """A matplotlib figure that is written as SVG when the block ends, the same bytes for the same data.

    It is transparent, its letters in a grey that reads on white and on black.

    Args:
        study: the study's name.
        name: of the figure.
        width: in inches.
        height: in inches.
        root: of the project.
    """
    import matplotlib
    from matplotlib.figure import Figure as Blank

    grey = "#808080"
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{study}-{name}",
        "font.size": 9,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), grey
        ),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        drawn = Blank(figsize=(width, height), layout="constrained")
        drawn.patch.set_alpha(0.0)
        yield drawn
        for axes in drawn.axes:
            axes.patch.set_alpha(0.0)
        file = io.StringIO()
        drawn.savefig(file, format="svg", metadata={"Date": None})
    folder = root / "docs" / "studies" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{study}-{name}.svg", file.getvalue())


#: Of series beside each other: apart also for readers who see few colours.
COLOURS = ("#4269d0", "#efb118", "#3ca951", "#a463f2")


def estimates(
    axes: Axes,
    series: Mapping[str, Mapping[str, Interval]],
    order: Sequence[str],
    *,
    chance: float | None = None,
) -> None:
    """Draws means with their intervals, a line for each method, the last of the order on top.

    Args:
        axes: to draw on.
        series: by label, what each method has; a method may be missing from one.
        order: of the methods.
        chance: what knowing nothing gives; a dotted line.
    """
    for number, (label, found) in enumerate(series.items()):
        shift = 0.3 * ((len(series) - 1) / 2 - number) / max(len(series) - 1, 1)
        drawn = [(place + shift, found[name]) for place, name in enumerate(order) if name in found]
        axes.errorbar(
            [value.estimate for _, value in drawn],
            [place for place, _ in drawn],
            xerr=[
                [value.estimate - value.lower for _, value in drawn],
                [value.upper - value.estimate for _, value in drawn],
            ],
            fmt="o",
            ms=4,
            lw=1,
            color=COLOURS[number],
            label=label,
        )
    if chance is not None:
        axes.axvline(chance, color="#808080", lw=0.8, ls=":")
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(-0.7, len(order) - 0.3)
    if len(series) > 1:
        axes.legend(loc="lower right")
