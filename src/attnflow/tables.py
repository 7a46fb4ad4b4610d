"""Results as tables: a row for each target and player."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnflow.attribution import Attribution
from attnflow.errors import MissingExtraError, unknown_name

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from attnflow.comparison import Comparison

BACKENDS = ("pandas", "polars")


def columns(result: Attribution) -> dict[str, list[Any]]:
    """Returns the table column by column.

    Columns are target (its name), target_position (several joined by a space), player, stack, position (of
    the player's first node), kind, score; and where the result has them lower, upper, stderr, bottleneck.
    """
    found = {**_identity(result), "score": result.scores.ravel().tolist()}
    for name in ("lower", "upper", "stderr"):
        matrix = getattr(result, name)
        if matrix is not None:
            found[name] = matrix.ravel().tolist()
    if result.bottleneck is not None:
        found["bottleneck"] = [
            bottleneck_name(result, t, j)
            for t in range(len(result.targets))
            for j in range(len(result.players))
        ]
    return found


def wide_columns(comparison: Comparison) -> dict[str, list[Any]]:
    """Returns the table of a comparison column by column.

    Columns are the same as those of one result, with the scores of each result in a column of its name.
    """
    scores = {
        name: result.scores.ravel().tolist()
        for name, result in zip(comparison.names, comparison.results, strict=True)
    }
    return {**_identity(comparison.results[0]), **scores}


def _identity(result: Attribution) -> dict[str, list[Any]]:
    """Which target and player each row is about."""
    return {
        "target": [target.name for target in result.targets for _ in result.players],
        "target_position": [
            " ".join(map(str, target.positions)) for target in result.targets for _ in result.players
        ],
        "player": [player.label for _ in result.targets for player in result.players],
        "stack": [player.nodes[0][0] for _ in result.targets for player in result.players],
        "position": [player.nodes[0][1] for _ in result.targets for player in result.players],
        "kind": [player.kind for _ in result.targets for player in result.players],
    }


def to_frame(result: Attribution, backend: str = "pandas") -> pd.DataFrame | pl.DataFrame:
    """Makes a data frame. See `Attribution.to_frame`."""
    return frame(columns(result), backend)


def to_csv(result: Attribution) -> str:
    """Returns the table as CSV. See `csv_text`."""
    return csv_text(columns(result))


def frame(table: Mapping[str, list[Any]], backend: str) -> pd.DataFrame | pl.DataFrame:
    """Makes a data frame of named columns.

    Raises:
        OptionError: an unknown backend.
        MissingExtraError: the backend is not installed.
    """
    if backend not in BACKENDS:
        raise unknown_name("data frame backend", backend, BACKENDS)
    try:
        if backend == "polars":
            import polars

            return polars.DataFrame(dict(table))
        import pandas
    except ImportError as error:
        raise MissingExtraError(backend, "frame") from error
    return pandas.DataFrame(dict(table))


def csv_text(table: Mapping[str, list[Any]]) -> str:
    """Returns named columns as CSV with a header; floats in the shortest form that reads back the same."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values()))
    return out.getvalue()


def bottleneck_name(result: Attribution, target: int, player: int) -> str | None:
    """Name of the layer that stops a player's flow, or None if nothing flows or none was computed."""
    if result.bottleneck is None or result.bottleneck[target, player] == 0:
        return None
    index = int(result.bottleneck[target, player])
    return result.layers[index - 1] if index <= len(result.layers) else "target weights"
