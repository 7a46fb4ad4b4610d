"""Random flow networks of every builder: seeded generators, and hypothesis strategies over them.

A generator is called as `KINDS[kind](rng, n, depth)`: n positions per sequence (an encoder-decoder has a
second length next to it), `depth` layers per stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from attnflow.network import Block, FlowNetwork
from attnflow.trace import Trace

Rng = np.random.Generator
Floats = NDArray[np.float64]
Generator = Callable[[Rng, int, int], FlowNetwork]

KINDS: dict[str, Generator] = {}
#: Every node that is no player's has in-edges that sum to exactly 1.
STOCHASTIC: set[str] = set()


def kind(name: str, *, stochastic: bool = False) -> Callable[[Generator], Generator]:
    def added(generator: Generator) -> Generator:
        KINDS[name] = generator
        if stochastic:
            STOCHASTIC.add(name)
        return generator

    return added


# -- matrices ------------------------------------------------------------------------------------------


def rows(matrix: Floats) -> Floats:
    """Every row divided by its sum; rows of zeros stay."""
    sums = matrix.sum(axis=-1, keepdims=True)
    return np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)


def softmax(rng: Rng, *shape: int, sharpness: float = 1.5) -> Floats:
    """Rows as attention makes them."""
    return rows(np.exp(sharpness * rng.standard_normal(shape)))


def causal(A: Floats) -> Floats:
    """Rows of the lower triangle, summing to 1."""
    return rows(np.tril(A))


def merged(A: Floats, residual: float = 0.5) -> Floats:
    """With the residual connection inside."""
    return (1 - residual) * A + residual * np.eye(A.shape[-1])


def sparse(rng: Rng, *shape: int, keep: float = 0.4) -> Floats:
    """Rows with exact zeros, at least one entry each, summing to 1."""
    A = softmax(rng, *shape)
    mask = rng.random(shape) < keep
    np.put_along_axis(mask, rng.integers(0, shape[-1], shape[:-1])[..., None], True, axis=-1)
    return rows(A * mask)


def gradient_like(rng: Rng, *shape: int) -> Floats:
    """Positive parts over many magnitudes up to 1e4; about half are zero."""
    size = 10.0 ** rng.uniform(-6, 4, shape)
    return np.where(rng.random(shape) < 0.5, size, 0.0)


def other_length(rng: Rng, n: int) -> int:
    """Length of the second sequence of an encoder-decoder."""
    return max(1, n + int(rng.integers(-1, 2)))


# -- encoder -------------------------------------------------------------------------------------------


@kind("encoder", stochastic=True)
def encoder(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(merged(softmax(rng, depth, n, n)))


@kind("encoder without residual", stochastic=True)
def encoder_plain(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(softmax(rng, depth, n, n))


@kind("encoder sparse", stochastic=True)
def encoder_sparse(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(sparse(rng, depth, n, n))


@kind("encoder ties", stochastic=True)
def encoder_ties(rng: Rng, n: int, depth: int) -> FlowNetwork:
    A = rows((rng.random((depth, n, n)) < 0.6) + np.eye(n))
    return FlowNetwork.encoder(merged(A) if rng.random() < 0.5 else np.full((depth, n, n), 1 / n))


@kind("encoder zero columns", stochastic=True)
def encoder_zero_columns(rng: Rng, n: int, depth: int) -> FlowNetwork:
    read = rng.random((depth, 1, n)) < 0.5
    read[np.arange(depth), 0, rng.integers(0, n, depth)] = True
    return FlowNetwork.encoder(rows(softmax(rng, depth, n, n) * read))


@kind("encoder dominant", stochastic=True)
def encoder_dominant(rng: Rng, n: int, depth: int) -> FlowNetwork:
    A = 0.03 * softmax(rng, depth, n, n)
    A[:, :, 0] += 0.97
    return FlowNetwork.encoder(merged(rows(A)))


@kind("encoder disconnected", stochastic=True)
def encoder_disconnected(rng: Rng, n: int, depth: int) -> FlowNetwork:
    half = np.arange(n) < max(1, n // 2)
    return FlowNetwork.encoder(rows(softmax(rng, depth, n, n) * (half[:, None] == half[None, :])))


@kind("encoder extremes")
def encoder_extremes(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(rng.choice([0.0, 1e-12, 1e-6, 1.0], size=(depth, n, n)))


@kind("encoder sinks")
def encoder_sinks(rng: Rng, n: int, depth: int) -> FlowNetwork:
    A = softmax(rng, depth, n, n) * rng.uniform(0.5, 0.9, (depth, n, 1))
    return FlowNetwork.encoder(merged(A) if rng.random() < 0.5 else A)


@kind("encoder float32")
def encoder_float32(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(merged(softmax(rng, depth, n, n)).astype(np.float32))


@kind("encoder gradient")
def encoder_gradient(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.encoder(gradient_like(rng, depth, n, n))


@kind("encoder infinite edges")
def encoder_infinite(rng: Rng, n: int, depth: int) -> FlowNetwork:
    C = rng.random((depth, n, n)) * (rng.random((depth, n, n)) < 0.7)
    C[rng.random(C.shape) < 0.2] = np.inf
    C[rng.integers(0, depth)][np.isinf(C[rng.integers(0, depth)])] = 0.25
    finite = C[rng.integers(0, depth)]  # one layer without: every target stays bounded
    finite[np.isinf(finite)] = 0.5
    return FlowNetwork.encoder(C)


@kind("encoder open")
def encoder_open(rng: Rng, n: int, depth: int) -> FlowNetwork:
    trace = Trace.from_arrays(softmax(rng, depth, n, n))
    own = rng.random(n) * (rng.random(n) < 0.5)
    return FlowNetwork.from_trace(with_relevance(trace, encoder=own), "relevance")


# -- decoder -------------------------------------------------------------------------------------------


@kind("decoder", stochastic=True)
def decoder(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.decoder(merged(causal(softmax(rng, depth, n, n))))


@kind("decoder without residual", stochastic=True)
def decoder_plain(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.decoder(causal(softmax(rng, depth, n, n)))


@kind("decoder closed", stochastic=True)
def decoder_closed(rng: Rng, n: int, depth: int) -> FlowNetwork:
    A = causal(softmax(rng, depth, n, n))
    C = merged(A) if rng.random() < 0.7 else A
    return FlowNetwork.decoder(C, prompt=int(rng.integers(1, n + 1)), prefix="closed")


@kind("decoder closed sinks")
def decoder_closed_sinks(rng: Rng, n: int, depth: int) -> FlowNetwork:
    A = causal(softmax(rng, depth, n, n)) * rng.uniform(0.5, 0.9, (depth, n, 1))
    return FlowNetwork.decoder(merged(A), prompt=int(rng.integers(1, n + 1)), prefix="closed")


@kind("decoder gradient")
def decoder_gradient(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return FlowNetwork.decoder(np.tril(gradient_like(rng, depth, n, n)))


@kind("decoder closed gradient")
def decoder_closed_gradient(rng: Rng, n: int, depth: int) -> FlowNetwork:
    C = np.tril(gradient_like(rng, depth, n, n))
    return FlowNetwork.decoder(C, prompt=int(rng.integers(1, n + 1)), prefix="closed")


@kind("decoder open")
def decoder_open(rng: Rng, n: int, depth: int) -> FlowNetwork:
    trace = Trace.from_arrays(decoder=causal(softmax(rng, depth, n, n)))
    own = rng.random(n) * (rng.random(n) < 0.5)
    return FlowNetwork.from_trace(with_relevance(trace, decoder=own), "relevance")


# -- encoder-decoder -----------------------------------------------------------------------------------


def _encoder_decoder(rng: Rng, n: int, depth: int, residual: float | None, prefix: Any) -> FlowNetwork:
    m = other_length(rng, n)
    below = max(1, depth + int(rng.integers(-1, 2)))
    inside = 0.0 if residual is None else residual
    return FlowNetwork.encoder_decoder(
        merged(softmax(rng, below, n, n), inside),
        merged(causal(softmax(rng, depth, m, m)), inside),
        (1 - inside) * softmax(rng, depth, m, n),
        cross_residual=residual,
        prefix=prefix,
        prompt=int(rng.integers(1, m + 1)),
    )


@kind("encoder-decoder", stochastic=True)
def encoder_decoder(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return _encoder_decoder(rng, n, depth, float(rng.choice([0.5, 0.25])), "players")


@kind("encoder-decoder closed", stochastic=True)
def encoder_decoder_closed(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return _encoder_decoder(rng, n, depth, float(rng.choice([0.5, 0.25])), "closed")


@kind("encoder-decoder unscaled")
def encoder_decoder_unscaled(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return _encoder_decoder(rng, n, depth, None, "players")


@kind("encoder-decoder unscaled closed")
def encoder_decoder_unscaled_closed(rng: Rng, n: int, depth: int) -> FlowNetwork:
    return _encoder_decoder(rng, n, depth, None, "closed")


@kind("encoder-decoder gradient")
def encoder_decoder_gradient(rng: Rng, n: int, depth: int) -> FlowNetwork:
    m = other_length(rng, n)
    return FlowNetwork.encoder_decoder(
        gradient_like(rng, depth, n, n),
        np.tril(gradient_like(rng, depth, m, m)),
        gradient_like(rng, depth, m, n),
        cross_residual=None,
    )


@kind("encoder-decoder open")
def encoder_decoder_open(rng: Rng, n: int, depth: int) -> FlowNetwork:
    m = other_length(rng, n)
    trace = Trace.from_arrays(
        softmax(rng, depth, n, n), causal(softmax(rng, depth, m, m)), softmax(rng, depth, m, n)
    )
    own = {"encoder": rng.random(n), "decoder": rng.random(m)}
    return FlowNetwork.from_trace(with_relevance(trace, **own), "relevance")


def with_relevance(trace: Trace, **relevance: Floats) -> Trace:
    """The trace as if its capture had found relevance equal to attention, and this x . dy/dx at the input."""
    records = {**trace.records, "relevance": trace.records["attention"]}
    return replace(trace, records=records, input_relevance=relevance)


# -- changed networks ----------------------------------------------------------------------------------


def quantised(network: FlowNetwork, bits: int) -> FlowNetwork:
    """The network with finite capacities rounded to multiples of `2 ** -bits`."""
    edges = tuple(
        replace(
            part,
            capacity=np.where(
                np.isinf(part.capacity), np.inf, np.ldexp(np.rint(np.ldexp(part.capacity, bits)), -bits)
            ),
        )
        for part in network.edges
    )
    own = None if network.own is None else np.ldexp(np.rint(np.ldexp(network.own, bits)), -bits)
    return replace(network, edges=edges, own=own)


def relabelled(network: FlowNetwork, orders: Sequence[NDArray[np.intp]]) -> FlowNetwork:
    """An encoder with the positions of each group renumbered: new position i was `orders[group][i]`."""
    capacity = [part.capacity[np.ix_(orders[g + 1], orders[g])] for g, part in enumerate(network.edges)]
    assert all(isinstance(part, Block) for part in network.edges)
    return FlowNetwork.encoder(capacity)


# -- strategies ----------------------------------------------------------------------------------------


@st.composite
def networks(
    draw: st.DrawFn, kinds: Sequence[str] | None = None, max_size: int = 5, max_depth: int = 3
) -> FlowNetwork:
    """Any kind of network, from a seed."""
    name = draw(st.sampled_from(sorted(KINDS if kinds is None else kinds)))
    n = draw(st.integers(1, max_size))
    depth = draw(st.integers(1, max_depth))
    seed = draw(st.integers(0, 2**32 - 1))
    return KINDS[name](np.random.default_rng(seed), n, depth)


ENTRIES = (0.0, 0.25, 0.5, 1.0, 1e-12, 1 / 3, 7.0, 1e4)


@st.composite
def drawn(
    draw: st.DrawFn, entries: Sequence[float] = ENTRIES, max_size: int = 4, max_depth: int = 3
) -> FlowNetwork:
    """A network whose every capacity hypothesis chooses (and shrinks), of any architecture."""

    def matrices(count: int, queries: int, keys: int) -> Floats:
        size = count * queries * keys
        values = draw(st.lists(st.sampled_from(entries), min_size=size, max_size=size))
        return np.array(values).reshape(count, queries, keys)

    def lower(matrix: Floats) -> Floats:
        return np.where(np.tri(matrix.shape[-1], dtype=bool), matrix, 0.0)

    architecture = draw(st.sampled_from(["encoder", "decoder", "encoder-decoder"]))
    n, depth = draw(st.integers(1, max_size)), draw(st.integers(1, max_depth))
    if architecture == "encoder":
        return FlowNetwork.encoder(matrices(depth, n, n))
    prefix = draw(st.sampled_from(["players", "closed"]))
    if architecture == "decoder":
        prompt = draw(st.integers(1, n))
        return FlowNetwork.decoder(lower(matrices(depth, n, n)), prompt=prompt, prefix=prefix)
    m = draw(st.integers(1, max_size))
    return FlowNetwork.encoder_decoder(
        matrices(1, n, n),
        lower(matrices(depth, m, m)),
        matrices(depth, m, n),
        cross_residual=draw(st.sampled_from([None, 0.0, 0.5, 2.0])),
        prefix=prefix,
        prompt=draw(st.integers(1, m)),
    )


def targets_of(network: FlowNetwork) -> st.SearchStrategy[int]:
    """A single target position."""
    return st.integers(0, network.size - 1)


def sets_of(network: FlowNetwork) -> st.SearchStrategy[list[int]]:
    """A set of target positions."""
    return st.lists(st.integers(0, network.size - 1), min_size=1, max_size=network.size, unique=True)


def coalitions_of(network: FlowNetwork) -> st.SearchStrategy[list[int]]:
    """A set of players, perhaps empty."""
    return st.lists(st.integers(0, len(network.players) - 1), max_size=len(network.players), unique=True)


def groupings_of(network: FlowNetwork) -> st.SearchStrategy[list[list[int]]]:
    """Disjoint groups of players, at least one, not necessarily all players."""
    count = len(network.players)
    colours = st.lists(st.integers(0, min(count, 4)), min_size=count, max_size=count).filter(any)
    return colours.map(
        lambda colour: [[j for j in range(count) if colour[j] == c] for c in sorted(set(colour) - {0})]
    )


@st.composite
def shares(draw: st.DrawFn, count: int) -> list[float]:
    """Weights that sum to 1; some may be 0."""
    parts = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count).filter(any))
    return [part / sum(parts) for part in parts]
