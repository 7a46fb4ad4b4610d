"""Generalized attention flow (Azarkhalili & Libbrecht 2025) by this library's own parts.

Capacities as the paper has them, without residual; every position of the last layer is the target; the flow is the
central one, the limit of the paper's barrier.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from attnflow.evaluate.prediction import Prediction


def _scores(prediction: Prediction, *, scheme: str) -> NDArray[np.float64]:
    from attnflow.capacity import find
    from attnflow.methods import attribute
    from attnflow.network import FlowNetwork

    network = FlowNetwork.from_trace(prediction.captured(find(scheme).record), scheme, 0.0)
    result = attribute(network, method="central", targets=[tuple(range(network.size))], bounds=False)
    found: NDArray[np.float64] = np.asarray(result.scores[0], dtype=np.float64)
    return found


#: AF, GF and AGF.
attention = partial(_scores, scheme="attention")
gradient = partial(_scores, scheme="gradient")
attention_gradient = partial(_scores, scheme="attention-gradient")
