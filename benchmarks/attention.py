"""Synthetic attention for sizes that no model here reaches, and networks from it.

As trained heads do, each head mixes content (logits of low rank), locality (a band whose width differs per
head) and a sink on the first token; a softmax makes rows of it, and heads are averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow import FlowNetwork

HEADS, RANK = 8, 16


def attention(
    layers: int, n: int, *, causal: bool = False, seed: int = 0, dtype: type = np.float32
) -> NDArray[np.floating]:
    """Head-averaged weights `[layers, n, n]`; rows sum to 1."""
    rng = np.random.default_rng(seed)
    distance = np.abs(np.arange(n, dtype=np.float32)[:, None] - np.arange(n, dtype=np.float32)[None, :])
    future = np.triu(np.ones((n, n), dtype=bool), 1) if causal else None
    found = np.zeros((layers, n, n), dtype=dtype)
    for layer in range(layers):
        for _ in range(HEADS):
            sharp, width, sink = rng.uniform(0.5, 2.5), rng.choice([2, 8, 32, np.inf]), rng.uniform(0, 4)
            query, key = rng.standard_normal((2, n, RANK), dtype=np.float32)
            logits = (query @ key.T) * np.float32(sharp / np.sqrt(RANK))
            if np.isfinite(width):
                logits -= distance / np.float32(width)
            logits[:, 0] += np.float32(sink)
            if future is not None:
                logits[future] = -np.inf
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            logits /= logits.sum(axis=1, keepdims=True)
            found[layer] += logits / HEADS
    return found


def with_residual(A: NDArray[np.floating], residual: float = 0.5) -> NDArray[np.floating]:
    """In place: the residual connection inside."""
    A *= 1 - residual
    at = np.arange(A.shape[-1])
    A[:, at, at] += residual
    return A


def encoder(layers: int, n: int, seed: int = 0) -> FlowNetwork:
    return FlowNetwork.encoder(with_residual(attention(layers, n, seed=seed)))


def decoder(layers: int, n: int, seed: int = 0) -> FlowNetwork:
    return FlowNetwork.decoder(with_residual(attention(layers, n, causal=True, seed=seed)))


def opened(network: FlowNetwork, seed: int = 0) -> FlowNetwork:
    """A network like `relevance` with open residual: half the entries absent, the rest over many magnitudes."""
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    edges = []
    for block in network.edges:
        size = block.capacity * 10.0 ** rng.normal(0, 1, block.capacity.shape)
        size[rng.random(size.shape) < 0.5] = 0
        np.fill_diagonal(size, np.inf)
        edges.append(replace(block, capacity=size))
    own = rng.random(network.size) / network.size
    return replace(network, edges=tuple(edges), own=own, row_stochastic=False)
