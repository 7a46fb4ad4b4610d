"""`attnflow evaluate`: how faithful each method is on one's own model and texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnflow.commands.parsing import check_files
from attnflow.commands.reporting import reporting

if TYPE_CHECKING:
    from attnflow.evaluate.faithfulness import Line
    from attnflow.evaluate.rows import Row

WHAT = "What is measured"
OUT = "What comes out"
#: Baselines that hide tokens themselves.
HIDING = ("occlusion", "shapley-sampling")


def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model's name, a local directory, or a hub id.")],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="Texts: one a line; or `.csv` or `.jsonl` with `text` and, if wanted, `label`, the class asked about.",
        ),
    ],
    method: Annotated[
        str, typer.Option(metavar="M", help="Methods of ours, with commas.", rich_help_panel=WHAT)
    ] = "flow",
    capacity: Annotated[
        str, typer.Option(metavar="C", help="Capacities, with commas.", rich_help_panel=WHAT)
    ] = "conserved,relevance,attention",
    signed: Annotated[
        bool,
        typer.Option("--signed", help="Also each gradient capacity signed.", rich_help_panel=WHAT),
    ] = False,
    steps: Annotated[
        int, typer.Option(min=1, metavar="K", help="Points of gradient capacities.", rich_help_panel=WHAT)
    ] = 1,
    baseline: Annotated[
        str,
        typer.Option(
            metavar="B",
            help="Methods by others, with commas: `random`, `occlusion`, `integrated-gradients`, `gradient-x-input`, "
            "`gradient-norm`, `shapley-sampling`, `chefer`, `alti-rollout`, `gaf-attention-gradient`, ...; `none`.",
            rich_help_panel=WHAT,
        ),
    ] = "random,occlusion",
    metric: Annotated[
        str,
        typer.Option(
            metavar="X",
            help="With commas: `comprehensiveness`, `sufficiency`, `log-odds`, `aopc`, `activation`, `pruning`.",
            rich_help_panel=WHAT,
        ),
    ] = "comprehensiveness,sufficiency",
    delete: Annotated[
        bool,
        typer.Option(
            "--delete/--mask",
            help="How a token is hidden: deleted, or the mask, padding or unknown token in its place.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    target: Annotated[
        int | None,
        typer.Option(
            metavar="T", help="Position asked about. Default: what the model decides.", rich_help_panel=WHAT
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Texts to read at most.", rich_help_panel=WHAT)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the intervals.", rich_help_panel=WHAT)] = 0,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Also write JSON.", rich_help_panel=OUT),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Also write CSV.", rich_help_panel=OUT)
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUT)
    ] = False,
) -> None:
    """Measure how faithful attributions are on texts of your own.

    Tokens that a method ranks high are hidden, and the fall of the output's probability tells whether they mattered:
    high comprehensiveness and low sufficiency are good. Special tokens are never hidden.
    """
    check_files({"--json": json, "--csv": csv})
    with reporting(quiet):
        from attnflow.evaluate.faithfulness import faithfulness
        from attnflow.evaluate.reading import read
        from attnflow.view.progress import progress_bars

        hide = "delete" if delete else "mask"
        rows = rows_of(_listed(method), _listed(capacity), _listed(baseline), signed, steps, hide)
        examples, metrics = read(file, limit), _listed(metric)
        with progress_bars(quiet) as progress:
            lines = faithfulness(
                model,
                examples,
                rows,
                metrics=metrics,
                hide=hide,
                target=target,
                seed=seed,
                progress=progress,
            )
        write(lines, metrics, json, csv)
        if not quiet:
            show(lines, metrics, len(examples), "deleted" if delete else "masked")


def rows_of(
    methods: Sequence[str],
    capacities: Sequence[str],
    others: Sequence[str],
    signed: bool,
    steps: int,
    hide: str,
) -> list[Row]:
    """Every method on every capacity, signed ones beside, then the baselines, which hide as the metrics do.

    Raises:
        OptionError: a name that is not known.
    """
    from attnflow.capacity import find as find_capacity
    from attnflow.evaluate.baselines import find as find_baseline
    from attnflow.evaluate.rows import Ours, Theirs
    from attnflow.methods import find as find_method

    rows: list[Row] = []
    for name in capacities:
        tells = find_capacity(name).opposing_record is not None
        for kind in methods:
            find_method(kind)
            rows.append(Ours(kind, name, steps=steps if tells else 1))
            if signed and tells:
                rows.append(Ours(kind, name, signed=True, steps=steps))
    for name in others:
        if name != "none":
            options = {"hide": hide} if name in HIDING else {}
            rows.append(Theirs(find_baseline(name).name, options))
    return rows


def show(lines: Sequence[Line], metrics: Sequence[str], examples: int, hidden: str) -> None:
    """Prints the table, the best row by the first metric on top."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from attnflow.evaluate.asked import METRICS

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("method")
    for name in metrics:
        table.add_column(f"{name} {'↑' if METRICS[name].higher else '↓'}", justify="right")
    table.add_column("ms", justify="right")
    table.add_column("passes", justify="right")
    sign = -1 if METRICS[metrics[0]].higher else 1
    measured = [line for line in lines if line.refused is None]
    for line in sorted(measured, key=lambda line: sign * line.metrics[metrics[0]].estimate):
        cells = [line.metrics[name] for name in metrics]
        shown = [f"{cell.estimate:.3f} ({cell.lower:.3f} to {cell.upper:.3f})" for cell in cells]
        passes = f"{line.forward:g} + {line.backward:g}"
        table.add_row(Text(line.name), *shown, f"{1000 * line.seconds:.0f}", passes)
    console = Console()
    console.print(table)
    console.print(
        f"\n{examples} texts, tokens {hidden}; means with 95 % bootstrap intervals; ms of one processor and passes "
        "(forward + backward) per text.",
        highlight=False,
    )
    for line in lines:
        if line.refused is not None:
            console.print(Text(f"{line.name}: {line.refused}"))


def write(lines: Sequence[Line], metrics: Sequence[str], json: Path | None, csv: Path | None) -> None:
    """Writes the files that were asked for, whole or not at all."""
    import csv as tables
    import io
    import json as objects
    from dataclasses import asdict

    from attnflow.files import write_whole

    if json is not None:
        write_whole(json, objects.dumps([asdict(line) for line in lines], indent=2) + "\n")
    if csv is None:
        return
    file = io.StringIO()
    writer = tables.writer(file, lineterminator="\n")
    spread = [f"{name}{end}" for name in metrics for end in ("", " lower", " upper")]
    writer.writerow(["method", *spread, "examples", "seconds", "forward", "backward", "refused"])
    for line in lines:
        cells: list[Any] = []
        for name in metrics:
            found = line.metrics.get(name)
            cells += [None] * 3 if found is None else [found.estimate, found.lower, found.upper]
        costs = (line.examples, line.seconds, line.forward, line.backward)
        writer.writerow([line.name, *cells, *costs, line.refused])
    write_whole(csv, file.getvalue())


def _listed(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter(f"{text!r} names nothing.")
    return names
