"""What a sentence's scores are worth: is the subject found, how much is its share, does it go with blanking out?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import InputError
from attnflow.evaluate import precision_at_k, rank_correlation
from attnflow.models.agreement.language import Sentence
from experiments.grades import grade

Scores = NDArray[np.float64]

#: By what a record calls it: the heading of a table's column.
MEASURES = {
    "auroc": "AUROC",
    "precision": "precision@1",
    "subject": "share of the subject",
    "attractors": "share of attractors",
    "blank-out": "rank correlation with blank-out",
}
#: Likewise, of a table of which token scores highest.
TOPS = {
    "precision": "subject",
    "top attractor": "an attractor",
    "top first": "first token",
    "top last": "last token",
}


def share(scores: Scores, places: Sequence[int]) -> float | None:
    """What some players have of all positive scores; None where no score is positive."""
    positive = np.clip(scores, 0, None)
    total = positive.sum()
    return float(positive[list(places)].sum() / total) if total > 0 else None


def graded(
    sentence: Sentence, scores: Scores, blanked: Scores, places: NDArray[np.intp]
) -> dict[str, float | None]:
    """All measures of one sentence.

    Args:
        sentence: its subject is what matters.
        scores: float64 [tokens before the verb].
        blanked: what the output loses without each token, likewise.
        places: of the tokens that can be blanked out; the correlation is over them.
    """
    found = grade(scores, np.arange(len(scores)) == sentence.subject)
    assert found is not None  # one token matters and others do not
    try:
        correlation = rank_correlation(scores[places], blanked[places])
    except InputError:  # all scores alike
        correlation = None
    tops = {"attractor": list(sentence.attractors), "first": [0], "last": [len(scores) - 1]}
    return {
        **found,
        **{f"top {name}": precision_at_k(scores, at, 1) for name, at in tops.items()},
        "subject": share(scores, [sentence.subject]),
        "attractors": share(scores, sentence.attractors),
        "blank-out": correlation,
    }
