"""Attention times gradient, rolled out (Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability").

Equations 5 to 10: with C the mean over heads of the positive part of attention times gradient, R starts as the
identity, and every self-attention adds C R. A cross-attention adds `N(R_decoder)^T C N(R_encoder)` to what decoder
positions owe to the source, N dividing the rows of R - I by their sums and adding I; the transposition is the paper's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.prediction import Prediction
from attnflow.trace import Trace

Matrix = NDArray[np.float64]


def scores(prediction: Prediction) -> NDArray[np.float64]:
    """What the target's positions owe to each player; several positions' rows are added.

    One forward and one backward pass.
    """
    return rolled(prediction.captured("attention-gradient"), prediction.target)


def rolled(trace: Trace, target: tuple[int, ...]) -> NDArray[np.float64]:
    """The rule on a trace that holds the record "attention-gradient".

    Args:
        trace: of one output.
        target: positions of the last group.

    Returns:
        float64 [players].
    """
    record = trace.record("attention-gradient")
    rows = list(target)
    if trace.architecture != "encoder-decoder":
        found: NDArray[np.float64] = _stack(record.encoder or record.decoder)[rows].sum(0)
        return found
    source = _stack(record.encoder)
    own = np.eye(len(trace.decoder_tokens))
    crossed = np.zeros((len(own), len(source)))
    for attention, cross in zip(record.decoder, record.cross):
        own, crossed = own + attention @ own, crossed + attention @ crossed
        crossed = crossed + _normalised(own).T @ cross @ _normalised(source)
    return np.concatenate([crossed[rows].sum(0), own[rows].sum(0)])


def _stack(layers: tuple[NDArray[np.floating], ...]) -> Matrix:
    R: Matrix = np.eye(len(layers[0]))
    for layer in layers:
        R = R + layer.astype(np.float64) @ R
    return R


def _normalised(R: Matrix) -> Matrix:
    left = R - np.eye(len(R))
    sums = left.sum(1, keepdims=True)
    found: Matrix = np.divide(left, sums, out=np.zeros_like(left), where=sums > 0) + np.eye(len(R))
    return found
