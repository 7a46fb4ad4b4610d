"""Several results on one input side by side: methods, capacity schemes or models.

Scores of different methods need not share a unit, so what is compared is their order: rank correlation, and
how much of the top two results share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Player, Scores
from attnflow.errors import FormatError, OptionError, unknown_name

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

    from attnflow.view.widget import Widget

FORMAT = "attnflow-comparison"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Comparison(Sequence[Attribution]):
    """Results of one input, each on the same players and targets: a sequence of them, and how they agree.

    Attributes:
        results: the results, in the order they are shown.

    Raises:
        OptionError: no results, or results on different inputs, players or targets; says what differs.
    """

    results: tuple[Attribution, ...]

    def __post_init__(self) -> None:
        results: tuple[object, ...] = tuple(self.results)
        object.__setattr__(self, "results", results)
        if not results:
            raise OptionError("Nothing to compare: expected at least one Attribution.")
        for other in results:
            if not isinstance(other, Attribution):
                raise OptionError(f"Expected Attributions to compare, found {type(other).__name__}.")
        for number, other in enumerate(self.results[1:], start=2):
            found = _mismatch(self.results[0], other)
            if found is not None:
                raise OptionError(
                    f"Result {number} ({other.method}) does not stand beside the first ({self.results[0].method}): "
                    f"{found}. Compare results on the same input, players and targets."
                )

    # -- a sequence ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Attribution]:
        return iter(self.results)

    @overload
    def __getitem__(self, index: int | str) -> Attribution: ...

    @overload
    def __getitem__(self, index: slice) -> Comparison: ...

    def __getitem__(self, index: int | str | slice) -> Attribution | Comparison:
        """Returns the result at an index or of a name in `names`, or the comparison of a slice."""
        if isinstance(index, slice):
            return Comparison(self.results[index])
        if isinstance(index, str):
            names = self.names
            if index not in names:
                raise unknown_name("result", index, names)
            return self.results[names.index(index)]
        return self.results[index]

    @property
    def names(self) -> tuple[str, ...]:
        """A name per result, in the fewest words that tell all of them apart.

        The method; then whatever differs, if that does not do: the capacity scheme, the residual, whether
        signed, the model, other options. Results that differ in none of these are numbered.
        """
        return _names([_words(result) for result in self.results])

    # -- agreement -------------------------------------------------------------------------------------

    def scores(self, target: int = 0) -> Scores:
        """Returns the scores for one target, float64 `[results, players]`, each row in its result's unit.

        Args:
            target: row of each result's scores.
        """
        scores: Scores = np.array([result.scores[target] for result in self.results])
        return scores

    def ranks(self, target: int = 0) -> NDArray[np.int64]:
        """Returns every player's place in every result, int64 `[results, players]`.

        Args:
            target: row of each result's scores.

        Returns:
            1 for the highest score; players of equal score share the best of their places.
        """
        return np.array([_above(row) + 1 for row in self.scores(target)])

    def rank_correlation(self, target: int = 0) -> NDArray[np.float64]:
        """Returns Spearman's rank correlation of every two results over all players.

        Args:
            target: row of each result's scores.

        Returns:
            float64 `[results, results]`: 1 for the same order, -1 for the reverse. Equal scores have the mean
            of their ranks. nan where a result gives every player the same score, as then there is no order.
        """
        ranks = np.array([_mean_ranks(row) for row in self.scores(target)])
        # Twice the distance from the mean rank is a whole number, so sums and the diagonal are exact.
        apart = 2 * ranks - (ranks.shape[1] + 1)
        products = apart @ apart.T
        size = np.sqrt(np.outer(np.diag(products), np.diag(products)))
        found: NDArray[np.float64] = np.full_like(products, np.nan)
        np.divide(products, size, out=found, where=size > 0)
        found[size > 0] = np.clip(found[size > 0], -1.0, 1.0)
        return found

    def top_overlap(self, k: int = 5, target: int = 0) -> NDArray[np.float64]:
        """Returns which part of their k highest-scoring players every two results share.

        Where players tie for the last of the k places, each holds an equal part of the places left, and two
        results share of a player the smaller of the parts it holds in them. So the answer does not depend on
        the order of the players, and a result shares all of its top with itself. Two unrelated orders of n
        players share k/n on average.

        Args:
            k: size of the top, from 1 to the number of players. The top are the highest scores: of signed
                results, what speaks most for the output.
            target: row of each result's scores.

        Returns:
            float64 `[results, results]`, from 0 to 1.

        Raises:
            OptionError: a k that there is no top of.
        """
        count = len(self.results[0].players)
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= count:
            raise OptionError(f"k={k!r}: expected a whole number from 1 to {count}, the number of players.")
        held = np.array([_held(row, int(k)) for row in self.scores(target)])
        shared: NDArray[np.float64] = np.array([np.minimum(row, held).sum(axis=1) for row in held]) / k
        np.fill_diagonal(shared, 1.0)
        return shared

    # -- leaving ---------------------------------------------------------------------------------------

    def to_frame(self, backend: str = "pandas") -> pd.DataFrame | pl.DataFrame:
        """Returns a data frame with a row for each target and player and a column of scores per result.

        Args:
            backend: "pandas" or "polars".

        Raises:
            OptionError: another backend.
            MissingExtraError: the backend is not installed.
        """
        from attnflow.tables import frame, wide_columns

        return frame(wide_columns(self), backend)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the same table as CSV; numbers survive exactly. For the whole results use `save`."""
        from attnflow.files import write_whole
        from attnflow.tables import csv_text, wide_columns

        write_whole(path, csv_text(wide_columns(self)))

    def save(self, path: str | os.PathLike[str], *, network: bool = False) -> None:
        """Writes the results as versioned JSON; numbers survive exactly.

        Args:
            path: the file; replaced if it exists, whole or not at all.
            network: also store the capacities. See `Attribution.save`.
        """
        from attnflow.files import write_whole

        parts = [result.to_dict(network=network) for result in self.results]
        data = {"format": FORMAT, "version": VERSION, "results": parts}
        write_whole(path, json.dumps(data, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Comparison:
        """Reads a comparison that `save` wrote.

        Raises:
            FormatError: not such a file, or one written by a newer version.
        """
        from attnflow.storage import from_dict, read_json

        name, data = os.fspath(path), read_json(path)
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise FormatError(
                f"{name!r}: Not a saved comparison: expected a JSON object with format {FORMAT!r}."
            )
        version = data.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise FormatError(
                f"{name!r}: Comparison format {version!r}; this attnflow reads up to {VERSION}: upgrade attnflow."
            )
        try:
            return cls(tuple(from_dict(part) for part in data["results"]))
        except (KeyError, TypeError, OptionError) as error:
            raise FormatError(f"{name!r}: A damaged comparison: {type(error).__name__} {error}.") from error
        except FormatError as error:
            raise FormatError(f"{name!r}: {error}") from error

    # -- showing ---------------------------------------------------------------------------------------

    def show(self, *, top: int | None = None, width: int | None = None) -> None:
        """Prints the comparison: the text once per result, the numbers side by side, how far they agree."""
        from attnflow.view.comparison import show

        show(self, top=top, width=width)

    def plot(
        self,
        kind: str | None = None,
        *,
        target: int | Sequence[int] | None = None,
        top: int | None = None,
        hide: float | None = None,
        special: bool | None = None,
        figsize: tuple[float, float] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> list[Axes]:
        """Draws the results with matplotlib, one under the other on a figure of their own.

        Args:
            kind: as in `Attribution.plot`, and so are the other options.
            target: position of the target, for every kind but "matrix".
            top: rows at most.
            hide: for "flow": share of all flow that the weakest ribbons, left out, may carry.
            special: shade special tokens too.
            figsize: of the figure, in inches.
            path: also write the figure to this file.

        Returns:
            An axes for each result.

        Raises:
            OptionError: as in `Attribution.plot`.
            MissingExtraError: matplotlib is not installed.
        """
        from attnflow.view.figure import plot_several

        options = {"target": target, "top": top, "hide": hide, "special": special}
        return plot_several(self, kind, figsize=figsize, path=path, **options)

    def to_html(
        self, path: str | os.PathLike[str], *, flow_count: int | None = None, words: bool | None = None
    ) -> None:
        """Writes one self-contained page: no requests, opens from disk, light and dark.

        Args:
            path: the file; replaced if it exists, whole or not at all.
            flow_count: how many flows to hold for drawing, each one more maximum flow problem; None: a number
                that keeps work and page small.
            words: also hold the scores of words as players, to switch to; None: where that takes little.
        """
        from attnflow.files import write_whole
        from attnflow.view.page import page

        write_whole(path, page(self, flow_count=flow_count, words=words))

    def widget(self, *, flow_count: int | None = None, theme: str = "auto") -> Widget:
        """Returns the interactive view as a widget. See `Attribution.widget`."""
        from attnflow.view.notebook import widget

        return widget(self, flow_count=flow_count, theme=theme)

    def _repr_html_(self) -> str:
        from attnflow.view.notebook import output

        return output(self)

    def _mime_(self) -> tuple[str, str]:  # marimo asks for this first
        from attnflow.view.notebook import frame

        return "text/html", frame(self)


# -- what may stand side by side ---------------------------------------------------------------------------


def _mismatch(first: Attribution, other: Attribution) -> str | None:
    """Says in what two results differ that have to be the same, or returns None."""
    if first.text is not None and other.text is not None and first.text != other.text:
        return f"the texts differ, {_short(other.text)} and {_short(first.text)}"
    if len(first.players) != len(other.players):
        return f"it has {_players(other)}, the first {_players(first)}"
    for one, two in zip(first.players, other.players):
        if not _is_same(one, two):
            return f"player {_place(two)} is none of the first's, which has {_place(one)} there"
    if len(first.targets) != len(other.targets):
        return f"it has {len(other.targets)} targets, the first {len(first.targets)}"
    for row, (mine, yours) in enumerate(zip(first.targets, other.targets)):
        if mine.positions != yours.positions:
            return f"target {row} is at {_positions(yours.positions)}, in the first at {_positions(mine.positions)}"
        if mine.weights != yours.weights:
            return f"target {row} weighs its positions differently"
    return None


def _is_same(one: Player, other: Player) -> bool:
    """Whether two players are the same stretch of the text, or else the same input positions.

    Words of one text are the same players for two tokenizers, though they own other positions; and special
    tokens, though they have other names.
    """
    if one.span is not None and other.span is not None:
        return (one.nodes[0][0], one.span) == (other.nodes[0][0], other.span)
    special = one.kind == other.kind == "special"
    return one.nodes == other.nodes and (special or one.label == other.label)


def _players(result: Attribution) -> str:
    out = f" ({len(result.excluded)} excluded)" if result.excluded else ""
    return f"{len(result.players)} players{out}"


def _place(player: Player) -> str:
    stack, position = player.nodes[0]
    return f"{_short(player.label)} at {stack} position {position}"


def _positions(positions: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, positions[:6])) + (", ..." if len(positions) > 6 else "")
    return f"{'position' if len(positions) == 1 else 'positions'} {shown}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


# -- names -------------------------------------------------------------------------------------------------


def _words(result: Attribution) -> dict[str, str]:
    """What a result may be told apart by, the most telling first; "" for what goes without saying."""
    residual = result.residual
    model = result.provenance.get("model")
    named = str(model).replace("\\", "/").rstrip("/") if model is not None else ""
    options = {
        str(key): "" if value is None or value is False else str(key) if value is True else f"{key} {value}"
        for key, value in dict(result.provenance.get("options", {})).items()
        if key not in ("method", "capacity", "residual", "signed", "bounds")
    }
    return {
        "capacity": result.capacity or "",
        "residual": ""
        if residual is None
        else f"residual {residual if residual == 'open' else f'{residual:g}'}",
        "signed": "signed" if result.supporting is not None else "",
        "model": named.rsplit("/", 1)[-1],
        "path": named,
        **options,
        "method": result.method,
    }


def _names(words: Sequence[dict[str, str]]) -> tuple[str, ...]:
    keys = list(dict.fromkeys(key for part in words for key in part if key != "method"))
    telling = [key for key in keys if len({part.get(key, "") for part in words}) > 1]

    def written(chosen: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            " ".join(word for word in (part["method"], *(part.get(key, "") for key in chosen)) if word)
            for part in words
        )

    # Few things differ between results that someone puts side by side; three of them nearly always do.
    for size in range(min(len(telling), 3) + 1):
        for chosen in combinations(telling, size):
            names = written(chosen)
            if len(set(names)) == len(names):
                return names
    names = written([key for key in telling if key != "path"])
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(f"{name} ({seen[name]})" if names.count(name) > 1 else name)
    return tuple(numbered)


# -- order -------------------------------------------------------------------------------------------------


def _above(scores: Scores) -> NDArray[np.int64]:
    """How many players score strictly higher than each."""
    return (len(scores) - np.searchsorted(np.sort(scores), scores, side="right")).astype(np.int64)


def _mean_ranks(scores: Scores) -> NDArray[np.float64]:
    """Ranks from 1, lowest first; equal scores have the mean of their ranks."""
    _, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return ranks


def _held(scores: Scores, k: int) -> NDArray[np.float64]:
    """The part of one of the k top places that each player holds; the parts sum to k."""
    ordered = np.sort(scores)
    tied = np.searchsorted(ordered, scores, side="right") - np.searchsorted(ordered, scores, side="left")
    held: NDArray[np.float64] = np.clip((k - _above(scores)) / tied, 0.0, 1.0)
    return held
