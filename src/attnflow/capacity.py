"""From a trace to capacities: how much of what a position holds each attention edge can carry.

A capacity scheme turns a trace's record into non-negative matrices `R[q, k]`; the residual connection is
then merged in. Schemes are looked up by name; `register` adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import InputError, OptionError, unknown_name
from attnflow.trace import GRADIENT_RECORDS, ROUNDING, Record, Trace

Matrices = tuple[NDArray[np.floating[Any]], ...]
Residual = float | Literal["open"]


@dataclass(frozen=True)
class Scheme:
    """How a capacity scheme reads a trace.

    Attributes:
        name: what callers write.
        record: the trace's record it is made from.
        matrix: record matrix `[q, k]` to non-negative matrix `[q, k]`.
        row_stochastic: True if rows of R are meant to sum to 1.
        residual: default residual weight in [0, 1), or "open".
        unit: "share" for row-stochastic schemes, else the unit of R's entries.
        source: the paper it comes from.
        opposing_record: for schemes that tell support from opposition, the record that R is made from when
            the network of what speaks against the output is asked for; else None.
        opposing_matrix: like `matrix`, for that record.
        keeps: whether R's diagonal holds already what the residual carries, so that none is merged in.
    """

    name: str
    record: str
    matrix: Callable[[NDArray[Any]], NDArray[Any]]
    row_stochastic: bool
    residual: Residual
    unit: str
    source: str
    opposing_record: str | None = None
    opposing_matrix: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    keeps: bool = False

    @property
    def gradient(self) -> bool:
        """Whether its matrices belong to one output each."""
        return self.record in GRADIENT_RECORDS


SCHEMES: dict[str, Scheme] = {}


def register(scheme: Scheme) -> Scheme:
    """Adds a capacity scheme under its name, so that `capacity=name` finds it everywhere.

    Raises:
        OptionError: the name is taken.
    """
    if scheme.name in SCHEMES:
        raise OptionError(f"A capacity scheme called {scheme.name!r} is registered already.")
    SCHEMES[scheme.name] = scheme
    return scheme


def find(scheme: object) -> Scheme:
    """Returns the scheme registered under a name, or the scheme itself if it is one.

    Raises:
        OptionError: there is none of that name, and the message suggests the nearest; or a function that does not say
            what its matrices are.
    """
    if isinstance(scheme, Scheme):
        if SCHEMES.get(scheme.name, scheme) is not scheme:
            raise OptionError(
                f"A capacity scheme called {scheme.name!r} is registered already, and this is another: rename it."
            )
        return scheme
    if callable(scheme):
        raise OptionError(
            "A function alone does not say whether rows of its matrices sum to 1, nor what the residual weighs: pass "
            "attnflow.capacity.declared(function, row_stochastic=..., residual=...)."
        )
    if scheme not in list(SCHEMES):
        raise unknown_name("capacity scheme", scheme, SCHEMES)
    return SCHEMES[str(scheme)]


def declared(
    matrix: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    row_stochastic: bool,
    residual: Residual,
    record: str = "attention",
    name: str | None = None,
    unit: str | None = None,
) -> Scheme:
    """A capacity scheme from a function of one's own, for `capacity=`, without registering it.

    Args:
        matrix: from one layer's record `[queries, keys]` to non-negative matrices of the same shape.
        row_stochastic: whether rows of these are meant to sum to 1.
        residual: residual weight in [0, 1), or "open", unless the caller names another.
        record: what `matrix` is handed: "attention", "norm", "relevance" (signed), or another record of a trace.
        name: what results call it; None: the function's own name.
        unit: of the matrices' entries; None: "share" for row-stochastic ones, else "capacity".

    Returns:
        The scheme.

    Raises:
        OptionError: no function, or a residual outside its range.
    """
    if not callable(matrix):
        raise OptionError(f"Found {matrix!r}; expected a function from matrices to capacities.")
    scheme = Scheme(
        name=name or getattr(matrix, "__name__", type(matrix).__name__).strip("<>"),
        record=record,
        matrix=matrix,
        row_stochastic=row_stochastic,
        residual=residual,
        unit=unit or ("share" if row_stochastic else "capacity"),
        source="the caller's",
    )
    return replace(scheme, residual=_residual(scheme, residual))


def _by_row(N: NDArray[Any]) -> NDArray[np.float64]:
    """Rows divided by their sum; zero rows stay zero."""
    R = np.asarray(N, dtype=np.float64)
    sums = R.sum(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(R, sums, out=np.zeros_like(R), where=sums > 0)
    return shares


register(
    Scheme(
        name="attention",
        record="attention",
        matrix=lambda A: A,
        row_stochastic=True,
        residual=0.5,
        unit="share",
        source="Abnar & Zuidema 2020 (arXiv 2005.00928); Metzger et al. 2022 (arXiv 2205.15389)",
    )
)
register(
    Scheme(
        name="norm",
        record="norm",
        matrix=_by_row,
        row_stochastic=True,
        residual=0.5,
        unit="share",
        source="Kobayashi et al. 2020 (arXiv 2004.10102): lengths of the vectors that positions send",
    )
)
register(
    Scheme(
        name="gradient",
        record="gradient",
        matrix=lambda G: G,
        row_stochastic=False,
        residual=0.0,
        unit="logit per attention",
        source="GF of Azarkhalili & Libbrecht 2025 (arXiv 2502.15765)",
        opposing_record="gradient-opposing",
        opposing_matrix=lambda G: G,
    )
)
register(
    Scheme(
        name="attention-gradient",
        record="attention-gradient",
        matrix=lambda G: G,
        row_stochastic=False,
        residual=0.0,
        unit="logit",
        source="AGF of Azarkhalili & Libbrecht 2025 (arXiv 2502.15765); Chefer et al. 2021 (arXiv 2012.09838)",
        opposing_record="attention-gradient-opposing",
        opposing_matrix=lambda G: G,
    )
)
register(
    Scheme(
        name="relevance",
        record="relevance",
        matrix=lambda S: np.maximum(S, 0),
        row_stochastic=False,
        residual="open",
        unit="logit",
        source="ours: heads are summed before the positive part, so that opposing heads cancel",
        opposing_record="relevance",
        opposing_matrix=lambda S: np.maximum(-S, 0),
    )
)
register(
    Scheme(
        name="conserved",
        record="conserved",
        matrix=lambda S: np.maximum(S, 0),
        row_stochastic=False,
        residual=0.0,
        unit="logit",
        source="ours, on relevance as Ali et al. 2022 (arXiv 2202.07304) and AttnLRP (arXiv 2402.05602) pass it back: "
        "attention and residual share out what each position holds of the output",
        opposing_record="conserved",
        opposing_matrix=lambda S: np.maximum(-S, 0),
        keeps=True,
    )
)


@dataclass(frozen=True, eq=False)
class Capacities:
    """Edge capacities of every layer, residual inside.

    Attributes:
        encoder: per encoder layer `[n, n]`, entry `[q, k]` the capacity from key k to query q.
        decoder: per decoder layer `[m, m]`.
        cross: per decoder layer `[m, n]`, scaled by 1 - cross_residual unless that is None.
        cross_residual: capacity of the residual edge past each cross-attention; None if infinite.
        scheme: name of the capacity scheme.
        residual: the residual weight, or "open".
        row_stochastic: True if rows sum to at most 1, so that no target can receive more than 1.
        unit: "share", or the unit of the capacities.
        own: with an open residual, per stack the capacity of a target's own first-layer residual edge.
    """

    encoder: Matrices = ()
    decoder: Matrices = ()
    cross: Matrices = ()
    cross_residual: float | None = None
    scheme: str = "attention"
    residual: Residual = 0.0
    row_stochastic: bool = False
    unit: str = "share"
    own: dict[str, NDArray[np.float64]] = field(default_factory=dict)


def capacities(
    trace: Trace,
    scheme: str | Scheme = "attention",
    *,
    residual: Residual | None = None,
    heads: str | None = None,
    opposing: bool = False,
) -> Capacities:
    """Turns a trace into capacities.

    For residual r = 0 the capacities are the scheme's matrices R as they are. For r > 0 they are
    `(1 - r) * R + r * I`, after rows of R were divided by their sum where it differs from 1 only by
    rounding, or where the scheme is not row-stochastic and the sum is positive. A real deficit (attention
    sinks, masked rows) is kept: it is attention paid to nothing. With `residual="open"` residual edges are
    infinite and diagonal attention entries are dropped, so that attention is the only bottleneck.

    Args:
        trace: what the forward pass attended to.
        scheme: name of a registered capacity scheme, or a scheme, see `declared`.
        residual: r in [0, 1), "open", or None for the scheme's own default.
        heads: how the trace must have reduced its heads, or None to take it as it is. A trace with
            `heads="all"` can be reduced by "mean" (default) or "max" here.
        opposing: capacities of what speaks against the output, for schemes that tell (ours).

    Returns:
        The capacities, float64.

    Raises:
        OptionError: unknown scheme, a residual outside its range, or a record the trace does not hold.
    """
    found = find(scheme)
    weight = _residual(found, residual)
    if opposing and (found.opposing_record is None or found.opposing_matrix is None):
        signed = ", ".join(sorted(name for name, known in SCHEMES.items() if known.opposing_record))
        raise OptionError(
            f"Capacity scheme {found.name!r} does not tell support from opposition: signed results need {signed}."
        )
    if opposing:
        found = replace(
            found, record=found.opposing_record or "", matrix=found.opposing_matrix or found.matrix
        )
    if trace.partial and weight == 0 and not found.row_stochastic:
        instead = "capacity='relevance'" if found.keeps else "residual='open'"
        raise OptionError(
            f"capacity {found.name!r} without residual: the {len(trace.partial)} layers without attention have no "
            f"capacity in its unit. Use {instead}, which lets them carry everything."
        )
    record = _reduced(trace, trace.record(found.record), heads)
    rounding = ROUNDING.get(trace.dtype, ROUNDING["float32"])

    def stack(layers: Matrices) -> list[NDArray[np.float64]]:
        together = np.empty((len(layers), *(layers[0].shape if layers else ())))  # as solvers want them
        for matrix, R in zip(layers, together):
            _prepare(R, found, matrix, weight, rounding)
        return list(together)

    encoder, decoder, cross = stack(record.encoder), stack(record.decoder), stack(record.cross)
    own: dict[str, NDArray[np.float64]] = {}
    cross_residual: float | None = None
    if weight == "open":
        for layers in (encoder, decoder):
            for matrix in layers:
                np.fill_diagonal(matrix, np.inf)
        for name, tokens in (("encoder", trace.encoder_tokens), ("decoder", trace.decoder_tokens)):
            if tokens:
                relevance = np.zeros(len(tokens))
                if found.opposing_record is not None:
                    if name not in trace.input_relevance:
                        raise OptionError(
                            f"An open residual with {found.name!r} needs input_relevance[{name!r}], which this trace "
                            f"does not hold: capture again with record={found.name!r}."
                        )
                    relevance = np.asarray(trace.input_relevance[name])
                sign = -1.0 if opposing else 1.0
                own[name] = np.maximum(sign * np.asarray(relevance, dtype=np.float64), 0.0)
    elif weight > 0:
        for layers in (encoder, decoder, cross):
            for matrix in layers:
                matrix *= 1 - weight
        for layers in (encoder, decoder):
            for matrix in layers:
                matrix[np.diag_indices_from(matrix)] += weight
        cross_residual = weight
    # Without a residual, cross-attention adds to what decoder self-attention brings: rows sum to 2.
    bounded = found.row_stochastic or (weight != "open" and weight > 0)
    stochastic = weight != "open" and bounded and not (cross and weight == 0)
    return Capacities(
        encoder=tuple(encoder),
        decoder=tuple(decoder),
        cross=tuple(cross),
        cross_residual=cross_residual,
        scheme=found.name,
        residual=weight,
        row_stochastic=stochastic,
        unit="share" if stochastic else "capacity" if found.unit == "share" else found.unit,
        own=own,
    )


def _residual(scheme: Scheme, residual: float | str | None) -> Residual:
    if residual is None:
        return scheme.residual
    if scheme.keeps:
        raise OptionError(
            f"residual={residual!r}: {scheme.name!r} capacities hold what the residual carries already; leave it out."
        )
    if residual == "open":
        return "open"
    if (
        isinstance(residual, bool)
        or not isinstance(residual, (int, float, np.number))
        or not 0 <= residual < 1
    ):
        raise OptionError(
            f"residual={residual!r}: expected a number from 0 up to but not 1, 'open', or None."
        )
    return float(residual)


def _reduced(trace: Trace, record: Record, heads: str | None) -> Record:
    if trace.heads != "all":
        if heads is not None and heads != trace.heads:
            raise OptionError(
                f"heads={heads!r}, but this trace reduced its heads by {trace.heads!r}: capture again with "
                f"heads={heads!r} or heads='all'."
            )
        return record
    from attnflow.trace import max_over_heads

    reducers: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "mean": lambda A: np.asarray(A.mean(axis=0, dtype=np.float64)),
        "max": max_over_heads,
    }
    if (heads or "mean") not in reducers:
        raise unknown_name("reduction over heads", heads, reducers)
    reduce = reducers[heads or "mean"]
    return Record(
        *(tuple(reduce(layer) for layer in part) for part in (record.encoder, record.decoder, record.cross))
    )


def _prepare(
    R: NDArray[np.float64], scheme: Scheme, matrix: NDArray[Any], weight: Residual, rounding: float
) -> None:
    """Fills R by the scheme, rows brought to sum 1 where the residual rule asks for it."""
    made = np.asarray(scheme.matrix(matrix))
    fits = made.shape == matrix.shape
    if fits:
        R[...] = made
    if not fits or not (R.min(initial=0.0) >= 0 and R.max(initial=0.0) < np.inf):  # nor is NaN
        raise InputError(
            f"Capacity scheme {scheme.name!r} must give finite, non-negative matrices of the shape it is given "
            f"({list(matrix.shape)})."
        )
    if weight == "open" or weight == 0:
        return
    sums = R.sum(axis=1, keepdims=True)
    divide = np.abs(sums - 1) <= rounding if scheme.row_stochastic else sums > 0
    R /= np.where(divide & (sums > 0), sums, 1.0)
