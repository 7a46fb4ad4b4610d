"""The same result with words as players, where a reader may want to switch to it."""

from __future__ import annotations

from attnflow.attribution import ADDITIVE, Attribution
from attnflow.comparison import Comparison
from attnflow.players import player_groups
from attnflow.view.caption import is_difference

#: Words whose exact Shapley values take little.
EXACT = 12


def in_words(result: Attribution | Comparison, wanted: bool | None = None) -> Attribution | Comparison | None:
    """Returns the result with words as players.

    Args:
        result: one result, or several side by side.
        wanted: False: never; True: whatever it costs; None: where it takes little work and changes anything.

    Returns:
        The result grouped into words, or None where it is not wanted or every word is one player already.

    Raises:
        AttnflowError: `wanted=True`, and the result cannot be grouped.
    """
    parts = [result] if isinstance(result, Attribution) else list(result)
    if wanted is False or (wanted is None and not all(map(_takes_little, parts))):
        return None
    grouped = tuple(part.words() for part in parts)
    if len(grouped[0].players) == len(parts[0].players):
        return None
    return grouped[0] if isinstance(result, Attribution) else Comparison(grouped)


def _takes_little(result: Attribution) -> bool:
    """Whether grouping is possible, and is a sum or a few maximum flows."""
    text = result.text
    spans = [player.span for player in result.players if player.span is not None]
    if text is None or not spans or min(spans)[0] < 0 or max(end for _, end in spans) > len(text):
        return False
    options = result.provenance.get("options", {})
    if result.supporting is not None or options.get("decay") or is_difference(result):
        return False
    if result.method in ADDITIVE:
        return True
    if result.network is None:  # none is held, or one for each target
        return False
    groups = player_groups(result.players, text, "words").groups
    return result.method == "flow" or (result.method == "shapley" and len(groups) <= EXACT)
