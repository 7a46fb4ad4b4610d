"""The result: how much each player contributes to each target.

Every method returns an `Attribution` with the same fields. It computes nothing about flows itself;
what needs the network again (`group`, `realize`) asks the rooms that know.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import InputError, OptionError
from attnflow.media import Medium

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

    from attnflow.maxflow import MaxFlow
    from attnflow.network import FlowNetwork
    from attnflow.view.widget import Widget

Scores = NDArray[np.float64]

#: Methods whose score of a group of players is the sum of its members' scores, exactly.
ADDITIVE = frozenset({"central", "rollout", "attention"})


@dataclass(frozen=True)
class Player:
    """One entry of the scores axis: an input position, or a group of them.

    Attributes:
        label: what a reader sees: a token, a word, a span of text.
        nodes: the input positions it owns, as `(stack, position)` with stack "encoder" or "decoder".
        span: `(start, end)` character offsets in the source text, or None.
        kind: "text", "patch" (of an image or spectrogram), "frame" (a stretch of sound), "part" (of an image or
            clip, in no known place of it), "special" (added by the tokenizer or the model: also [CLS], registers,
            object queries, padding with silence), "template" (a chat template's own tokens), or "generated" (decoded
            by the model).
        role: role of the chat message it is part of, if any.
        turn: index of that message, also for the template's tokens around it.
        medium: index into the result's `media` of the image or clip that it is a part of; None for text, and for a
            group over several.
        patches: `(row, column)` of each patch it owns in that medium's grid, from 0 at the top left; empty for none.
        time: `(start, end)` in seconds from the start of that medium; None for no frames, or for a group with gaps.
    """

    label: str
    nodes: tuple[tuple[str, int], ...]
    span: tuple[int, int] | None = None
    kind: str = "text"
    role: str | None = None
    turn: int | None = None
    medium: int | None = None
    patches: tuple[tuple[int, int], ...] = ()
    time: tuple[float, float] | None = None


@dataclass(frozen=True)
class Target:
    """One row of the scores: the node position, or positions, that a question is about.

    Attributes:
        positions: node positions of the last group. One is a single target, several are a set.
        label: the output these positions decide (a class, the next token), or None if unknown.
        token: text of the input token at the position (of the first, for a set).
        weights: one per position, summing to 1, for a weighted set; else None.
        probability: the model's probability of that output, or None.
    """

    positions: tuple[int, ...]
    label: str | None = None
    token: str | None = None
    weights: tuple[float, ...] | None = None
    probability: float | None = None

    @property
    def name(self) -> str:
        """A short name for headings: the output if known, else the token at the position."""
        if self.label is not None:
            return self.label
        if len(self.positions) > 1:
            return f"{len(self.positions)} positions"
        return self.token if self.token is not None else str(self.positions[0])


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """Scores of every player for every target, with what bounds and certifies them.

    Attributes:
        method: "flow", "shapley", "central", "rollout" or "attention".
        scores: float64 `[targets, players]`, in `unit`; of methods "rollout" and "attention" parts of 1.
        total: float64 `[targets]`; v(N), the maximum flow from all players, whatever the method.
        players: one per column.
        targets: one per row.
        lower: v(N) - v(N minus j), the least share of j in any maximum flow; None with bounds=False.
        upper: v({j}), the largest share; None with bounds=False (method "flow" always has it).
        bottleneck: int64 `[targets, players]`, 1-based index into `layers` of the layer with the largest
            share of the minimum cut nearest to the player, 0 where v({j}) = 0; None with bounds=False.
        stderr: standard errors in the scores' units; None for exact results.
        estimated: True if the scores come from sampled orders.
        samples: number of sampled orders; None for exact results.
        error_bound: largest error of any value from rounding capacities to integers.
        gap: float64 `[targets]`, certified bound on the error of every score and of their sum (method
            "central"); None where scores are exact in integers.
        capacity: name of the capacity scheme, or None for a network built from arrays.
        residual: the residual weight, "open", or None if it is inside the caller's arrays.
        unit: of total and bounds, and of the scores of every method that splits flow: "share" (row-stochastic
            capacities, v(N) at most 1), "logit", "logit per attention", or "capacity" (the scheme's own units).
        layers: names of the network's layers, in the order `bottleneck` counts them.
        excluded: players taken out of the game.
        excluded_cost: float64 `[targets]`: the part of v(everyone) lost with them; None if none.
        notes: sentences a reader should see beside the scores.
        text: the source text that player spans refer to, or None.
        media: the images and clips that players are parts of, for drawing: grid, thumbnail, duration, envelope.
        provenance: model, versions and options that made this result.
        supporting: for signed results, the scores of what speaks for the output; `scores` is supporting
            minus opposing.
        opposing: for signed results, the scores of what speaks against it.
        network: the network it was computed on; None after loading a file saved without it, and where
            `networks` differ.
        networks: one network per target where every target has its own, as with gradient capacities.
    """

    method: str
    scores: Scores
    total: Scores
    players: tuple[Player, ...]
    targets: tuple[Target, ...]
    lower: Scores | None = None
    upper: Scores | None = None
    bottleneck: NDArray[np.int64] | None = None
    stderr: Scores | None = None
    estimated: bool = False
    samples: int | None = None
    error_bound: float = 0.0
    gap: Scores | None = None
    capacity: str | None = None
    residual: float | str | None = None
    unit: str = "capacity"
    layers: tuple[str, ...] = ()
    excluded: tuple[Player, ...] = ()
    excluded_cost: Scores | None = None
    notes: tuple[str, ...] = ()
    text: str | None = None
    media: tuple[Medium, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    supporting: Scores | None = None
    opposing: Scores | None = None
    network: FlowNetwork | None = field(default=None, repr=False)
    networks: tuple[FlowNetwork, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = (len(self.targets), len(self.players))
        for name in ("scores", "lower", "upper", "bottleneck", "stderr", "supporting", "opposing"):
            matrix = getattr(self, name)
            if matrix is not None and matrix.shape != shape:
                raise InputError(
                    f"{name} has shape {list(matrix.shape)}, expected [{shape[0]} targets, {shape[1]} players]."
                )
        if not (np.isfinite(self.scores).all() and np.isfinite(self.total).all()):
            raise InputError("scores and total must be finite numbers; found NaN or infinity.")
        if self.total.shape != shape[:1]:
            raise InputError(f"total has shape {list(self.total.shape)}, expected [{shape[0]} targets].")

    # -- reading ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int | slice | Sequence[int]) -> Attribution:
        """Returns the result for some of the targets: an index, a slice, or a list of indices."""
        rows = np.atleast_1d(np.arange(len(self.targets))[index])

        def pick(matrix: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if matrix is None else matrix[rows]

        return replace(
            self,
            scores=self.scores[rows],
            total=self.total[rows],
            targets=tuple(self.targets[row] for row in rows),
            lower=pick(self.lower),
            upper=pick(self.upper),
            bottleneck=pick(self.bottleneck),
            stderr=pick(self.stderr),
            excluded_cost=pick(self.excluded_cost),
            gap=pick(self.gap),
            supporting=pick(self.supporting),
            opposing=pick(self.opposing),
            network=self.networks[rows[0]] if self.networks and len(rows) == 1 else self.network,
            networks=tuple(self.networks[row] for row in rows) if self.networks and len(rows) > 1 else None,
        )

    def __sub__(self, other: Attribution) -> Attribution:
        """Returns the difference of two results on the same players, with standard errors.

        Raises:
            OptionError: results that cannot be compared score by score.
        """
        from attnflow.contrast import difference

        if not isinstance(other, Attribution):
            return NotImplemented
        return difference(self, other)

    def top(self, k: int = 5, target: int = 0) -> list[tuple[str, float]]:
        """Returns the k highest-scoring players of one target.

        Args:
            k: how many; all of them if there are fewer.
            target: row of `scores`.

        Returns:
            `(label, score)` pairs, highest first, so that of signed scores those against come last; ties in the order
            of the players.

        Raises:
            OptionError: k is no number of players, or there is no such target.
        """
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 0:
            raise OptionError(f"k={k!r}: expected a number of players from 0 up.")
        if not isinstance(target, (int, np.integer)) or not -len(self.targets) <= target < len(self.targets):
            raise OptionError(
                f"target={target!r}: expected a row of scores, from 0 to {len(self.targets) - 1}."
            )
        order = np.argsort(-self.scores[target], kind="stable")[:k]
        return [(self.players[j].label, float(self.scores[target, j])) for j in order]

    def __repr__(self) -> str:
        """One line: what was computed, and its highest score."""
        from attnflow.view.passage import visible

        def short(name: str) -> str:
            shown = visible(name)
            return shown if len(shown) <= 24 else f"{shown[:23]}…"

        how = " · ".join(part for part in (self.method, self.capacity) if part)
        names = ", ".join(short(target.name) for target in self.targets[:3])
        names += ", …" if len(self.targets) > 3 else ""
        best = (
            ", ".join(f"{short(label)} {score:.3g}" for label, score in self.top(3)) if self.targets else ""
        )
        return f"<Attribution {how}: {len(self.players)} players, target {names}; highest {best}>"

    # -- regrouping ------------------------------------------------------------------------------------

    def words(self) -> Attribution:
        """Returns the result with the source text's words as players. See `group`."""
        from attnflow.players import player_groups

        words = player_groups(self.players, self.text, "words")
        return self.group(words.groups, words.labels)

    def group(self, groups: Iterable[Sequence[int]], labels: Sequence[str] | None = None) -> Attribution:
        """Returns the result with groups of players as players.

        For methods whose group score is the members' sum by definition (central, rollout, attention) it
        is summed; for flow and shapley the game is solved again with the groups as players.

        Args:
            groups: disjoint sequences of indices into `players`. Players in no group stay as they are.
            labels: a name per group; default the text they span.

        Raises:
            OptionError: the groups overlap, or the method needs the network and the result has none.
        """
        from attnflow.regrouping import regroup

        return regroup(self, [tuple(group) for group in groups], labels)

    @classmethod
    def concat(cls, results: Iterable[Attribution]) -> Attribution:
        """Stacks results on the same players into one with a row for each target.

        Raises:
            OptionError: no results, or results that differ in players, method or scheme.
        """
        parts = list(results)
        if not parts:
            raise OptionError("Nothing to concatenate: expected at least one Attribution.")
        first = parts[0]
        for part in parts[1:]:
            for name in ("players", "method", "capacity", "residual", "unit", "layers", "excluded"):
                if getattr(part, name) != getattr(first, name):
                    raise OptionError(
                        f"Results differ in {name}, so they do not stack: "
                        f"{_brief(getattr(first, name))} and {_brief(getattr(part, name))}."
                    )

            for name in ("signed", "decay", "mu", "prefix"):
                asked, other = (p.provenance.get("options", {}).get(name) or None for p in (first, part))
                if asked != other:
                    raise OptionError(
                        f"Results differ in {name}, so they do not stack: {asked!r} and {other!r}."
                    )

        def stack(name: str) -> Any:
            matrices = [getattr(part, name) for part in parts]
            if any(matrix is None for matrix in matrices):
                return None
            return np.concatenate(matrices)

        known = [network for part in parts for network in part._networks()]
        outputs = [output for part in parts for output in part.provenance.get("outputs", ())]
        rows = sum(len(part) for part in parts)
        shared = known[0] if len(known) == rows and all(network is known[0] for network in known) else None
        return replace(
            first,
            scores=stack("scores"),
            total=stack("total"),
            targets=tuple(target for part in parts for target in part.targets),
            lower=stack("lower"),
            upper=stack("upper"),
            bottleneck=stack("bottleneck"),
            stderr=np.concatenate([np.zeros_like(p.scores) if p.stderr is None else p.stderr for p in parts])
            if any(part.stderr is not None for part in parts)
            else None,
            excluded_cost=stack("excluded_cost"),
            gap=stack("gap"),
            estimated=any(part.estimated for part in parts),
            samples=max((part.samples for part in parts if part.samples is not None), default=None),
            error_bound=max(part.error_bound for part in parts),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            supporting=stack("supporting"),
            opposing=stack("opposing"),
            provenance={**first.provenance, **({"outputs": outputs} if outputs else {})},
            network=shared,
            networks=tuple(known) if shared is None and len(known) == rows else None,
        )

    def _networks(self) -> tuple[FlowNetwork, ...]:
        """One network per target, or none."""
        if self.networks is not None:
            return self.networks
        return () if self.network is None else (self.network,) * len(self.targets)

    def realize(self, target: int | Sequence[int] | None = None, player: int | None = None) -> MaxFlow:
        """Returns a maximum flow whose split over the players is these scores.

        The Shapley value, exact or estimated from orders, always is such a split (ours). Where players are
        groups, the flow's network has one more group in front, with a node for each player.

        Args:
            target: which target, by its position (or positions) in the last group; may be left out if
                there is only one.
            player: for method "flow", whose scores belong to separate flows: index of the player.

        Raises:
            OptionError: the method's scores are no split of a maximum flow, or the result was loaded
                from a file saved without its network.
        """
        from attnflow.methods import realize

        return realize(self, target, player)

    # -- leaving ---------------------------------------------------------------------------------------

    def to_dict(self, *, network: bool = False) -> dict[str, Any]:
        """Returns the save format as plain dicts, lists, numbers and strings."""
        from attnflow.storage import to_dict

        return to_dict(self, network=network)

    def to_frame(self, backend: str = "pandas") -> pd.DataFrame | pl.DataFrame:
        """Returns a data frame with a row for each target and player.

        Args:
            backend: "pandas" or "polars".

        Raises:
            OptionError: another backend.
            MissingExtraError: the backend is not installed.
        """
        from attnflow.tables import to_frame

        return to_frame(self, backend)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes the same table as CSV; numbers survive exactly. For the whole result use `save`."""
        from attnflow.files import write_whole
        from attnflow.tables import to_csv

        write_whole(path, to_csv(self))

    def save(self, path: str | os.PathLike[str], *, network: bool = False) -> None:
        """Writes the result as versioned JSON; numbers survive exactly.

        Args:
            path: the file; replaced if it exists, whole or not at all.
            network: also store the capacities, so that a loaded result can `realize` and `group`.
        """
        from attnflow.storage import save

        save(self, path, network=network)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Attribution:
        """Reads a result that `save` wrote.

        Raises:
            FormatError: not such a file, or one written by a newer version.
        """
        from attnflow.storage import load

        return load(path)

    # -- showing ---------------------------------------------------------------------------------------

    def show(self, *, bounds: bool = False, top: int | None = None, width: int | None = None) -> None:
        """Prints the result to the terminal: tokens shaded by score, then the numbers."""
        from attnflow.view.terminal import show

        show(self, bounds=bounds, top=top, width=width)

    def plot(
        self,
        kind: str | None = None,
        *,
        ax: Axes | None = None,
        target: int | Sequence[int] | None = None,
        player: int | None = None,
        top: int | None = None,
        hide: float | None = None,
        special: bool | None = None,
        figsize: tuple[float, float] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Axes:
        """Draws the result with matplotlib, in the colours of the style in force.

        Args:
            kind: "tokens": the text shaded by score. "flow": a realised flow as ribbons, layers as columns. "matrix":
                targets by players. "bounds": scores in their intervals. None: "tokens" for one target, else "matrix".
            ax: axes to draw into; None: a new figure, as high as it needs.
            target: position of the target, for every kind but "matrix"; the first if left out.
            player: for "flow" and method "flow", whose scores are flows of their own: the player whose flow is drawn;
                None: the highest-scoring.
            top: for "flow" and "bounds": rows at most, default 40.
            hide: for "flow": the weakest ribbons are left out up to this share of all flow, default 0.05.
            special: for "tokens" and "matrix": False dims special tokens, which then do not count for the scale.
            figsize: of a new figure, in inches.
            path: also write the figure to this file, by its ending SVG, PDF or PNG, with text as text.

        Returns:
            The axes.

        Raises:
            OptionError: an unknown kind, an option that it does not take, or a result that it cannot show: no
                bounds, no network, scores that no flow stands for.
            MissingExtraError: matplotlib is not installed.
        """
        from attnflow.view.figure import plot

        options = {"target": target, "player": player, "top": top, "hide": hide, "special": special}
        return plot(self, kind, ax=ax, figsize=figsize, path=path, **options)

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
        """Returns the interactive view as a widget, which also tells Python what the reader selects.

        Args:
            flow_count: how many flows to hold for drawing, each a maximum flow problem; None: a number that keeps
                work and size small.
            theme: "auto", "light" or "dark".

        Raises:
            MissingExtraError: anywidget is not installed.
        """
        from attnflow.view.notebook import widget

        return widget(self, flow_count=flow_count, theme=theme)

    def _repr_html_(self) -> str:
        from attnflow.view.notebook import output

        return output(self)

    def _mime_(self) -> tuple[str, str]:  # marimo asks for this first
        from attnflow.view.notebook import frame

        return "text/html", frame(self)


def _brief(value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} of them"
    return repr(value)
