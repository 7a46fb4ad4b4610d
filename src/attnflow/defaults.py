"""What `explain` computes when nothing else is asked for, as the study of faithfulness recommends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison

#: The method, where no option belongs to another.
METHOD = "flow"
#: Capacities that are taken when none is named: the first that the model and the question allow.
CAPACITIES = ("conserved", "relevance", "attention")
#: Methods that are read off attention weights, as their papers have them.
_OF_ATTENTION = frozenset({"attention", "rollout"})


def default_method(*, sampled: bool = False, barrier: bool = False) -> str:
    """The method that is taken where none is named.

    Args:
        sampled: whether `samples` or `stderr` is given, which are for "shapley".
        barrier: whether `mu` is given, which is for "central".
    """
    return "shapley" if sampled else "central" if barrier else METHOD


def candidates(
    methods: Sequence[str],
    *,
    asked: bool = False,
    prefix: str = "players",
    residual: float | str | None = None,
    heads: str | Sequence[int] = "mean",
    target: Any = None,
) -> tuple[str, ...]:
    """The capacities that are tried where none is named, in this order.

    Args:
        methods: the methods that will use them.
        asked: whether an option asks about one output: `output`, `signed`, `steps`, `baseline`.
        prefix: as in `explain`; "closed" follows several outputs back, and a gradient is about one.
        residual: as in `explain`; "conserved" has its own, "relevance" an open one.
        heads: as in `explain`; gradients are not for "max", and "conserved" is for all heads.
        target: as in `explain`; "mean" is no output.

    Returns:
        At least one name.
    """
    open_or_own = residual is None or residual == "open"
    of_attention = any(name in _OF_ATTENTION for name in methods)
    blind = of_attention or prefix == "closed" or not open_or_own or heads == "max" or target == "mean"
    if blind and not asked:
        return ("attention",)
    allowed = CAPACITIES[:-1] if asked else CAPACITIES
    return tuple(
        name for name in allowed if name != "conserved" or (residual is None and isinstance(heads, str))
    )


def alike(methods: Sequence[str], **options: Any) -> list[str]:
    """Why methods that would take another capacity share that of attention: they stand beside one that is of it.

    Args:
        methods: side by side.
        options: as in `candidates`.
    """
    others = [name for name in methods if name not in _OF_ATTENTION]
    if not others or candidates(others, **options) == candidates(methods, **options):
        return []
    of_attention = next(name for name in methods if name in _OF_ATTENTION)
    return [f"{of_attention!r} is of attention, and methods side by side share one network"]


def noted(
    answer: Attribution | Comparison | list[Any], reasons: Sequence[str]
) -> Attribution | Comparison | list[Any]:
    """The answer with a note on why these capacities were taken."""
    if not reasons:
        return answer
    if isinstance(answer, list):
        return [noted(item, reasons) for item in answer]
    if isinstance(answer, Comparison):
        return Comparison(tuple(cast("Attribution", noted(result, reasons)) for result in answer))
    note = f"No capacity was named: {answer.capacity!r} was taken, as {'; '.join(reasons)}."
    return replace(answer, notes=(*answer.notes, note))
