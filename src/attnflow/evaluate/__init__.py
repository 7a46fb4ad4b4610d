"""How good an attribution is: against ground truth, and by what happens when tokens are erased.

Pure functions of scores. Those that ask the model take a `predict` callable: it is handed a boolean
array `[variants, players]`, True where a player is shown, and returns the output's value for each
variant, usually the probability of the class that the model predicts for the whole input. How a player that is
not shown is hidden, masked or deleted, is `predict`'s choice and changes the figures: state it beside them.
"""

from attnflow.evaluate.alignment import alignment_error_rate
from attnflow.evaluate.bootstrap import Interval, bootstrap
from attnflow.evaluate.curves import activation_curve, area, pruning_curve, pruning_error
from attnflow.evaluate.erasure import (
    Predict,
    aopc,
    blank_out,
    comprehensiveness,
    deleted,
    log_odds,
    masked,
    order,
    sufficiency,
)
from attnflow.evaluate.ranking import auroc, precision_at_k, rank_correlation, ranks

__all__ = [
    "Interval",
    "Predict",
    "activation_curve",
    "alignment_error_rate",
    "aopc",
    "area",
    "auroc",
    "blank_out",
    "bootstrap",
    "comprehensiveness",
    "deleted",
    "log_odds",
    "masked",
    "order",
    "precision_at_k",
    "pruning_curve",
    "pruning_error",
    "rank_correlation",
    "ranks",
    "sufficiency",
]
