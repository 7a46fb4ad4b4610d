"""Raw attention: the target's row of the last layer's head-averaged attention, no residual. A baseline.

In an encoder-decoder, source players score the cross-attention row and decoder players the self-attention
row. In a closed network, attention on generated positions is dropped.
"""

from __future__ import annotations

import numpy as np

from attnflow.errors import OptionError
from attnflow.methods.problem import Method, Outcome, Problem


def solve(problem: Problem) -> Outcome:
    """Scores each player by the attention that the target pays it in the last layer."""
    network, target = problem.network, problem.target
    if "self" not in network.attention:
        raise OptionError(
            "method='attention' needs the last layer's attention, which only a network built from a trace with a "
            "head-averaged 'attention' record holds: use FlowNetwork.from_trace, or another method."
        )
    shares = np.asarray(target.weights or (1 / len(target.positions),) * len(target.positions))
    rows = {name: shares @ matrix[list(target.positions)] for name, matrix in network.attention.items()}
    own = "encoder" if network.architecture == "encoder" else "decoder"
    scores = np.zeros(len(problem.groups))
    for column, group in enumerate(problem.groups):
        for index in group:
            for stack, position in network.players[index].nodes:
                scores[column] += rows["self" if stack == own else "cross"][position]
    return Outcome(scores)


METHOD = Method("attention", solve, "the last layer's attention weights, averaged over heads", share=True)
