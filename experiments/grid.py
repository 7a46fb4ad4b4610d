"""Our methods as rows of a study's table: which capacities, which residual, which method, how prefixes count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow import FlowNetwork, Trace, attribute
from attnflow.capacity import find

#: What every other row is compared with.
REFERENCE = "flow, relevance, open"
#: Sampled orders of a Shapley value, in studies that ask for many of them.
SAMPLES = 64


@dataclass(frozen=True)
class Row:
    """One way to score.

    Attributes:
        method: name of the method.
        capacity: name of the scheme.
        residual: weight, "open", or None for the scheme's own.
        prefix: whether decoded tokens are players, or flow is traced through them ("closed").
        signed: what speaks for the output less what speaks against it.
        layers: first and last layer that count, 1-based; None: all.
        samples: orders that a Shapley value is estimated from.
    """

    method: str
    capacity: str
    residual: float | str | None = None
    prefix: str = "players"
    signed: bool = False
    layers: tuple[int, int] | None = None
    samples: int = SAMPLES

    @property
    def name(self) -> str:
        """As a table shows it."""
        residual = find(self.capacity).residual if self.residual is None else self.residual
        parts = [self.method, self.capacity]
        if self.method != "attention" and not find(self.capacity).keeps:
            parts.append("open" if residual == "open" else f"residual {residual:g}")
        if self.prefix == "closed":
            parts.append("closed")
        if self.signed:
            parts.append("signed")
        if self.layers:
            parts.append("layers {}-{}".format(*self.layers))
        if self.samples != SAMPLES:
            parts.append(f"{self.samples:,} orders")
        return ", ".join(parts)

    @property
    def record(self) -> str:
        """What a trace must hold."""
        return find(self.capacity).record

    def scores(
        self, trace: Trace, targets: Sequence[int], players: Sequence[Sequence[int]] | None = None
    ) -> NDArray[np.float64]:
        """Scores `[targets, players]`; players are the input positions, the encoder's first.

        Args:
            trace: holds the record; of a gradient scheme, that of the one target.
            targets: node positions of the last group.
            players: groups of input positions that are one player each.
        """
        found = self._of(trace, targets, players, opposing=False)
        return found - self._of(trace, targets, players, opposing=True) if self.signed else found

    def _of(
        self,
        trace: Trace,
        targets: Sequence[int],
        players: Sequence[Sequence[int]] | None,
        *,
        opposing: bool,
    ) -> NDArray[np.float64]:
        network = FlowNetwork.from_trace(
            trace, self.capacity, self.residual, self.prefix, self.layers, opposing=opposing
        )
        count = len(network.players if players is None else players)
        sampled = {"samples": self.samples} if self.method == "shapley" and count > 12 else {}
        found = attribute(
            network,
            method=self.method,
            targets=list(targets),
            players=players,
            bounds=False,
            threads=1,
            **sampled,
        )
        return np.asarray(found.scores, dtype=np.float64)
