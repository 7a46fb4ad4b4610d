"""From records to tables, figures and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from attnflow.evaluate import Interval, bootstrap
from experiments.records import Record
from experiments.report import Cell, Table, figure
from experiments.report import publish as written
from experiments.saturation import rule
from experiments.saturation.grid import BASE, CONCENTRATIONS, DEPTHS, RESIDUALS, SCHEMES, SIZES
from experiments.saturation.systems import SYSTEMS

STUDY = "saturation"
COMMAND = "python -m experiments.saturation"

Row = dict[str, Any]
Found = Mapping[str, Sequence[Record]]

#: Heading and where the figure stands in a row.
SHAPE = {
    "first layer": "sender",
    "target": "receiver",
    "either": "either",
    "equal": "tied",
    "upper": "upper",
    "lower = 0": "lower zero",
    "width": "width",
    "variation": "variation",
}
AGREEMENT = {"with columns": "flow~columns", "with position": "flow~position"}


def publish(found: Found) -> None:
    """Writes everything."""
    tables = (
        residual(found),
        schemes(found),
        targets(found),
        heads(found),
        depth(found),
        weights(found),
        dirichlet(found),
        *rules(found),
    )
    by_residual(found)
    by_concentration(found)
    written(STUDY, COMMAND, tables)


# -- choosing ------------------------------------------------------------------------------------------


def chosen(records: Sequence[Record], **setting: Any) -> list[Row]:
    """Rows of one setting, each with the key of its example; what is not named is as in BASE."""
    wanted = {**BASE, **setting}
    return [
        {**row, "key": record["key"]}
        for record in records
        for row in record["rows"]
        if all(row[name] == value for name, value in wanted.items()) and "sender" in row
    ]


def mean(rows: Sequence[Row], name: str) -> float | None:
    """Over the examples for which it is defined."""
    known = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(known)) if known else None


def interval(rows: Sequence[Row], name: str) -> Interval | None:
    """Mean with a bootstrap interval over examples."""
    known = [row[name] for row in rows if row.get(name) is not None]
    return bootstrap(known, resamples=2000) if len(known) > 2 else None


def models(found: Found) -> list[str]:
    return [name for name in SYSTEMS if name in found]


def _line(label: Sequence[Cell], rows: Sequence[Row], names: Mapping[str, str]) -> list[Cell]:
    return [*label, len(rows), *(mean(rows, name) for name in names.values())]


def _table(name: str, label: Sequence[str], lines: Sequence[list[Cell]], names: Sequence[str]) -> Table:
    return Table(name, [*label, "examples", *names], lines, digits=2)


# -- tables --------------------------------------------------------------------------------------------


def residual(found: Found) -> Table:
    names = SHAPE | AGREEMENT
    lines = [
        _line([name, str(weight)], chosen(found[name], residual=weight), names)
        for name in models(found)
        for weight in RESIDUALS
    ]
    return _table("residual", ["model", "residual"], lines, list(names))


def schemes(found: Found) -> Table:
    names = {"first layer": "sender", "equal": "tied", "width": "width", "with columns": "flow~columns"}
    against = {"flow": "flow", "shapley": "shapley", "columns": "columns", "position": "position"}
    lines: list[list[Cell]] = []
    for name in models(found):
        for scheme in SCHEMES if SYSTEMS[name].logits else ():
            for weight in (0.0, 0.5, "open"):
                rows = chosen(found[name], scheme=scheme, residual=weight)
                lines.append(
                    [
                        *_line([name, scheme, str(weight)], rows, names),
                        *(interval(rows, f"{method}~occlusion") for method in against.values()),
                    ]
                )
    heads = [*names, *(f"{method}, occlusion" for method in against)]
    return _table("schemes", ["model", "capacities", "residual"], lines, heads)


def targets(found: Found) -> Table:
    names = {
        "first layer": "sender",
        "target": "receiver",
        "equal": "tied",
        "with columns": "flow~columns",
        "shapley with columns": "shapley~columns",
        "with other targets": "elsewhere",
    }
    lines = [
        _line([name, place, str(weight)], rows, names)
        for name in models(found)
        for place in ("first", "middle", "last")
        for weight in (0.0, 0.5, 0.9, "open")
        if (rows := chosen(found[name], target=place, residual=weight))
    ]
    return _table("targets", ["model", "target", "residual"], lines, list(names))


def heads(found: Found) -> Table:
    names = {**SHAPE, "with columns": "flow~columns", "with occlusion": "flow~occlusion"}
    lines = []
    for name in models(found):
        singles = {
            row["heads"] for record in found[name] for row in record["rows"] if row["heads"][:4] == "head"
        }
        for label, kinds in (("mean", ["mean"]), ("max", ["max"]), ("single", sorted(singles))):
            rows = [row for kind in kinds for row in chosen(found[name], heads=kind)]
            lines.append(_line([name, label], rows, names))
    return _table("heads", ["model", "heads"], lines, list(names))


def depth(found: Found) -> Table:
    names = SHAPE | AGREEMENT
    lines = []
    for name in models(found):
        spans = sorted({tuple(row["layers"]) for r in found[name] for row in r["rows"] if row["layers"]})
        lines += [_line([name, f"{a}-{b}"], chosen(found[name], layers=[a, b]), names) for a, b in spans]
    return _table("depth", ["model", "layers"], lines, list(names))


def weights(found: Found) -> Table:
    names = {**SHAPE, "with columns": "flow~columns", "with occlusion": "flow~occlusion"}
    lines = []
    for name in models(found):
        for scheme, weight in (("attention", 0.5), ("attention", "open"), ("relevance", "open")):
            blank = chosen(found[name], scheme=scheme, residual=weight, weights="fresh")
            keys = {row["key"] for row in blank}
            real = [r for r in chosen(found[name], scheme=scheme, residual=weight) if r["key"] in keys]
            for label, rows in (("trained", real), ("fresh", blank)):
                if rows:
                    lines.append(_line([name, scheme, str(weight), label], rows, names))
    return _table("weights", ["model", "capacities", "residual", "weights"], lines, list(names))


def _drawn(found: Found, layers: int, size: int, concentration: float, weight: float | str) -> list[Row]:
    start = f"{layers}/{size}/{concentration}/"
    kept = [record for record in found["dirichlet"] if record["key"].startswith(start)]
    return chosen(kept, weights="dirichlet", residual=weight)


def dirichlet(found: Found) -> Table:
    names = {**SHAPE, "with columns": "flow~columns"}
    lines = [
        _line([size, layers, str(concentration)], _drawn(found, layers, size, concentration, 0.5), names)
        for size in SIZES
        for layers in DEPTHS
        for concentration in CONCENTRATIONS
    ]
    return _table("dirichlet", ["positions", "layers", "concentration"], lines, list(names))


# -- the rule ------------------------------------------------------------------------------------------


def cases(found: Found, kept: Callable[[str, int], bool]) -> list[Row]:
    """Rows that know how flow to other targets ranks, of models and examples that are kept."""
    return [
        row
        for name in models(found)
        for record in found[name]
        if kept(name, int(record["key"]))
        for row in record["rows"]
        if row.get("elsewhere") is not None and row["residual"] != "open" and "sender" in row
    ]


def rules(found: Found) -> tuple[Table, Table]:
    """How well each sign tells, and what lies on the two sides of it."""
    fit = cases(found, lambda name, key: SYSTEMS[name].fitted and key % 2 == 0)
    held = {
        "other inputs": cases(found, lambda name, key: SYSTEMS[name].fitted and key % 2 == 1),
        **{
            f"unseen model {other}": cases(found, lambda name, _key, other=other: name == other)
            for other in models(found)
            if not SYSTEMS[other].fitted
        },
    }
    lines: list[list[Cell]] = []
    sides: list[list[Cell]] = []
    for sign in rule.SIGNS:
        threshold = rule.fitted(fit, sign)
        for place, rows in {"fitted on": fit, **held}.items():
            for limit in dict.fromkeys((threshold, 0.5)):
                if not rows:
                    continue
                got = rule.told(rows, sign, limit)
                lines.append([sign, limit, place, got.cases, got.same, got.caught, got.false, got.balanced])
            above = [row for row in rows if rule.SIGNS[sign](row) > threshold]
            below = [row for row in rows if rule.SIGNS[sign](row) <= threshold]
            for side, part in (("above", above), ("below", below)):
                sides.append(
                    [sign, f"{side} {threshold}", place, len(part), mean(part, "elsewhere")]
                    + [mean(part, name) for name in ("flow~columns", "flow~occlusion", "variation")]
                )
    first = ["sign", "threshold", "on"]
    told = Table("rule", [*first, "cases", "same", "caught", "false", "balanced"], lines, digits=2)
    heads = ["cases", "with other targets", "with columns", "with occlusion", "variation"]
    return told, Table("sides", [*first, *heads], sides, digits=2)


# -- figures -------------------------------------------------------------------------------------------


def by_residual(found: Found) -> None:
    """Where flows stop, by residual weight."""
    numbers = [weight for weight in RESIDUALS if weight != "open"]
    shown = {
        "tight at the first layer or the target": "either",
        "equal to another's": "tied",
        "width of [lower, upper] / v(N)": "width",
        "rank correlation with column sums": "flow~columns",
    }
    with figure(STUDY, "residual", height=5.0) as drawn:
        axes = drawn.subplots(2, 2, sharex=True).ravel()
        for panel, (title, name) in zip(axes, shown.items()):
            for model in models(found):
                heights = [mean(chosen(found[model], residual=weight), name) for weight in numbers]
                panel.plot(numbers, [np.nan if h is None else h for h in heights], "o-", ms=3, label=model)
            panel.set_title(title, fontsize=9)
            panel.set_ylim(-0.45 if "~" in name else -0.03, 1.05)
        for panel in axes[2:]:
            panel.set_xlabel("residual weight")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)


def by_concentration(found: Found) -> None:
    """Random attention: where flows stop, by depth and concentration."""
    with figure(STUDY, "dirichlet", height=3.0) as drawn:
        axes = drawn.subplots(1, 3, sharey=True)
        for panel, weight in zip(axes, (0.0, 0.5, 0.9)):
            for layers in DEPTHS:
                heights = [mean(_drawn(found, layers, 64, c, weight), "either") for c in CONCENTRATIONS]
                panel.plot(CONCENTRATIONS, heights, "o-", ms=3, label=f"{layers} layer{'s' * (layers > 1)}")
            panel.set_xscale("log")
            panel.set_xlabel("concentration")
            panel.set_title(f"residual {weight}", fontsize=9)
        axes[0].set_ylabel("tight at either end")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
