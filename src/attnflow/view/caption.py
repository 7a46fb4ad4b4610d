"""Sentences beside the numbers: what a score is, what the total means, what to be careful about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Target
from attnflow.tables import bottleneck_name
from attnflow.view.numbers import counted, digits_for, probability, single
from attnflow.view.passage import label_of, visible
from attnflow.view.shading import is_quiet

#: Below this ratio of the highest to the lowest score of players that can reach the target, the scores
#: hardly tell the players apart.
UNIFORM_RATIO = 1.5

FLOWS = {
    "attention": "attention flow",
    "norm": "norm-weighted attention flow",
    "gradient": "gradient flow",
    "attention-gradient": "gradient-weighted attention flow",
    "relevance": "relevance flow",
    "conserved": "conserved flow",
}
#: Schemes that never look at the output.
BLIND = frozenset({"attention", "norm"})
METHODS = {
    "shapley": "share of {flow}",
    "flow": "{flow} of each player alone",
    "central": "share of the central {flow}",
    "rollout": "share by rollout, a walk back along {flow}",
    "attention": "share of the last layer's attention",
}
#: Methods that are meant to split the total among the players.
SPLITS = frozenset({"shapley", "central"})

#: Methods that score parts of 1, whatever unit the capacities have.
PARTS = frozenset({"rollout", "attention"})
#: What a caption says of a unit; of shares nothing.
UNITS = {
    "share": "",
    "logit": "in logits",
    "logit per attention": "in logits per unit of attention",
    "capacity": "in the capacities' own units",
}
#: A standard error below this part of v(N) is rounding alone.
ROUNDING = 1e-12
#: Units that can be counted.
AMOUNTS = frozenset({"logit"})

#: Left out around names; line breaks and tabs are shown as signs.
BLANKS = " \u00a0"

BOUNDS = (
    "Interval: the least and the largest share over all maximum flows; the largest is what the player sends alone. "
    "Bottleneck: the layer that limits that."
)
#: Of networks that are the same whatever output is asked about.
WIDE = "It often runs from 0 to nearly everything, so alone it rarely ranks players."


def bounds(result: Attribution) -> str:
    """Returns what the columns of intervals say, and that they are in another unit than the scores where they are."""
    said = f"{BOUNDS} {WIDE}" if result.capacity in BLIND else BOUNDS
    if unit(result) == result.unit:
        return said
    flows = UNITS.get(result.unit, f"in units of {visible(result.unit)}")
    return f"{said} Intervals are flow, {flows}; scores are parts of 1."


def caption(result: Attribution) -> str:
    """Returns in one line what a score is and what it is not."""
    flow = FLOWS.get(result.capacity or "", "flow")
    kind = METHODS.get(result.method, f"{visible(result.method)} of {{flow}}").format(flow=flow)
    how = UNITS.get(unit(result), f"in units of {visible(unit(result))}")
    kind += f", {how}" if how else ""
    if is_difference(result):
        return f"{kind}; first result less the second, negative where the second scores higher"
    if result.capacity in BLIND or result.method == "attention":
        return f"{kind}; unsigned, the same whatever class is asked about"
    if has_two_signs(result):
        sign = "negative speaks against the output"
    elif result.capacity in FLOWS:
        sign = "unsigned, only what speaks for the output"
    else:
        return f"{kind}; unsigned"
    return f"{kind}; {sign} named above the text" if result.capacity in FLOWS else f"{kind}; {sign}"


def unit(result: Attribution) -> str:
    """Returns the unit of the scores, which for some methods is not that of the capacities."""
    return "share" if result.method in PARTS else result.unit


def measure(result: Attribution) -> str:
    """Returns the unit that stands beside a score, safe to print: nothing for shares, which need none."""
    return "" if unit(result) == "share" else visible(unit(result))


def has_two_signs(result: Attribution) -> bool:
    """Returns True if scores may be negative, so that a view needs both hues."""
    return result.supporting is not None or bool(np.any(result.scores < 0))


def is_difference(result: Attribution) -> bool:
    """Returns True for one result less another, which says nothing for or against an output."""
    return "contrast" in result.provenance


def ends(result: Attribution) -> tuple[str, str]:
    """Returns what stands before the low and after the high end of a scale of shades: signs, and the unit."""
    if not has_two_signs(result):
        return "", measure(result)
    below, above = ("second", "first") if is_difference(result) else ("against", "for")
    return below, f"{above} ({measure(result)})" if measure(result) else above


def sides(result: Attribution, row: int) -> dict[str, list[float]]:
    """Returns the scores of what speaks for the output and against it, by name; of unsigned results nothing."""
    if result.supporting is None or result.opposing is None:
        return {}
    return {"for": result.supporting[row].tolist(), "against": result.opposing[row].tolist()}


def recipe(result: Attribution) -> str:
    """Returns how the result was made: method, capacities, residual, model."""
    parts = [visible(result.method)]
    if result.capacity is not None:
        scheme = f"{visible(result.capacity)} capacities"
        if result.residual is not None and result.capacity != "conserved":  # which shares it out itself
            residual = result.residual if isinstance(result.residual, str) else f"{result.residual:g}"
            scheme += f", residual {visible(residual)}"
        if result.supporting is not None:
            scheme += ", signed"
        parts.append(scheme)
    model = result.provenance.get("model")
    if isinstance(model, str):
        parts.append(visible(_short(model)))
    return " · ".join(parts)


def _short(model: str) -> str:
    """A long path's last two parts; hub ids have no more than two."""
    parts = model.replace("\\", "/").rstrip("/").split("/")
    return model if len(parts) < 4 else "…/" + "/".join(parts[-2:])


def heading(target: Target) -> str:
    """Returns the target's name, safe to print."""
    return visible(target.name.strip(BLANKS)) or "␣" * len(target.name) or "(empty)"


def told_apart(names: Sequence[str], targets: Sequence[Target]) -> list[str]:
    """Returns the names of targets, with the position of each where all decide the same output.

    Args:
        names: of the targets, as `heading` gives them.
        targets: as many.
    """
    if len(names) < 2 or len(set(names)) > 1:
        return list(names)
    places = (target.token if target.token is not None else str(target.positions[0]) for target in targets)
    return [
        f"{name} at {visible(place.strip(BLANKS)) or '␣'}" for name, place in zip(names, places, strict=True)
    ]


def subtitle(target: Target) -> str:
    """Returns where the target stands and how probable its output is."""
    parts = []
    size = len(target.positions)
    if size == 1:
        token = (
            f", at {visible(target.token.strip(BLANKS)) or '␣'}"
            if target.token and target.label is not None
            else ""
        )
        parts.append(f"position {target.positions[0]}{token}")
    else:
        shown = ", ".join(map(str, target.positions[:6])) + (", …" if size > 6 else "")
        if target.weights is None:
            parts.append(f"set of {size} positions: {shown}")
        elif max(target.weights) - min(target.weights) < 1e-9:
            parts.append(f"mean of {size} positions: {shown}")
        else:
            parts.append(f"weighted mean of {size} positions: {shown}")
    if target.probability is not None:
        parts.append(f"probability {probability(target.probability)}")
    return " · ".join(parts)


def place(result: Attribution, row: int) -> str:
    """Returns where a row's target stands, and which of several it is."""
    said = subtitle(result.targets[row])
    return said if len(result.targets) == 1 else f"{said} · target {row + 1} of {len(result.targets)}"


def total(result: Attribution, row: int) -> str:
    """Returns v(N), what it means, and whether the scores sum to it."""
    return " ".join(filter(None, (amount(result, row), efficiency(result, row))))


def amount(result: Attribution, row: int) -> str:
    """Returns v(N) and what it means."""
    value = float(result.total[row])
    target = result.targets[row]
    many = len(target.positions) > 1 and target.weights is None
    if is_difference(result):
        return f"Difference of the two totals v(N): {_amount(value, result.unit)}."
    if result.unit != "share":
        meaning = "the most that all players together can send"
        if result.supporting is not None:
            meaning += " for the output, less the most they can send against it"
        if result.unit not in AMOUNTS:
            meaning += f", {UNITS.get(result.unit, f'in units of {visible(result.unit)}')}"
    elif many:
        meaning = f"the most that all players together can send to these {len(target.positions)} positions"
    elif abs(value - 1) <= 1e-4 + result.error_bound:
        meaning = "fixed by construction, as attention rows sum to 1, so it says nothing about this input"
    else:
        rest = "sinks or masked rows"
        if result.excluded:
            rest += ", or held by excluded players"
        meaning = f"what is short of 1 is attention paid to nothing: {rest}"
    return f"Total v(N) = {_amount(value, result.unit)}: {meaning}."


def efficiency(result: Attribution, row: int) -> str:
    """Returns whether the scores sum to v(N), or nothing where there is nothing to say."""
    value = float(result.total[row])
    gap = abs(float(result.scores[row].sum()) - value)
    if result.method in (*SPLITS, "flow") and gap <= 1e-3 * max(abs(value), 1e-300):
        return "The scores sum to the total."
    return "The scores overlap and do not sum to the total." if result.method == "flow" else ""


def _amount(value: float, noun: str) -> str:
    """A number with its unit, where the unit can be counted."""
    number = single(value)
    return number if noun not in AMOUNTS else f"{number} {noun}{'' if number in ('1', '-1') else 's'}"


def warnings(result: Attribution, row: int) -> Iterator[str]:
    """Yields what a reader must know before ranking the players of one target."""
    values = _reaching(result, row)
    if is_uniform(result, row):
        times = f"{values.max() / values.min():.2f}"
        yield f"Nearly uniform: the highest score is {times} times the lowest, so the ranking says little."
    elif _ratio(text := _reaching(result, row, text=True)) < UNIFORM_RATIO:
        yield (
            f"The text is nearly uniform: its highest score is {text.max() / text.min():.2f} times its lowest, "
            f"so the ranking says little{'; only special tokens stand out' if values.max() > text.max() else ''}."
        )
    elif is_noise(result, row):
        yield (
            "The scores of the text differ by no more than two standard errors of sampling: "
            "ask for more samples before ranking them."
        )
    elif not np.any(result.scores[row]):
        if is_difference(result):
            yield "Every difference is 0: the two results agree."
        else:
            yield "Every score is 0: no player reaches this target."
    if result.excluded and result.excluded_cost is not None:
        cost = float(result.excluded_cost[row])
        everyone = float(result.total[row]) + cost
        part = f", {cost / everyone:.0%} of what everyone could send" if everyone > 0 else ""
        if cost > result.error_bound:
            yield f"Without the excluded players v(N) is lower by {single(cost)}{part}."
        else:
            yield "Taking out the excluded players costs nothing: v(N) is the same without them."


def is_uniform(result: Attribution, row: int) -> bool:
    """Returns True if the scores hardly tell apart the players that can reach the target."""
    return _ratio(_reaching(result, row)) < UNIFORM_RATIO


def is_noise(result: Attribution, row: int) -> bool:
    """Returns True if the highest and lowest score of the text differ by less than sampling can tell."""
    if result.stderr is None:
        return False
    text = [
        j
        for j, player in enumerate(result.players)
        if not is_quiet(player) and (result.scores[row, j] != 0 or result.stderr[row, j] != 0)
    ]
    if len(text) < 2:
        return False
    scores, errors = result.scores[row, text], result.stderr[row, text]
    high, low = int(scores.argmax()), int(scores.argmin())
    return bool(scores[high] - scores[low] <= 2 * np.hypot(errors[high], errors[low]))


def _reaching(result: Attribution, row: int, *, text: bool = False) -> NDArray[np.float64]:
    """Returns the scores of the players that can reach the target, or only those of the text."""
    reach = result.upper[row] > 0 if result.upper is not None else result.scores[row] != 0
    if text:
        reach = reach & [not is_quiet(player) for player in result.players]
    values: NDArray[np.float64] = result.scores[row][reach]
    return values


def _ratio(values: NDArray[np.float64]) -> float:
    """Returns highest over lowest, infinite where there is nothing to compare."""
    if len(values) < 2 or values.min() <= 0:
        return float("inf")
    return float(values.max() / values.min())


def remarks(result: Attribution) -> Iterator[str]:
    """Yields what holds for every target: exclusions, sampling, and the result's own notes."""
    if result.excluded:
        names = [label_of(player) for player in result.excluded]
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        yield f"Excluded from the game: {shown}."
    if result.estimated:
        orders = f" from {counted(result.samples, 'sampled order')}" if result.samples is not None else ""
        error = ""
        if result.stderr is not None:
            largest = float(result.stderr.max(initial=0.0))
            error = f", standard errors up to {digits_for((largest,), significant=2)(largest)}"
            if largest <= ROUNDING * float(np.abs(result.total).max(initial=0.0)):
                error = ", each balanced group of them giving the same"
        yield f"Estimated{orders}{error}."
    for note in result.notes:
        yield visible(note)


def hidden(result: Attribution, row: int, shown: Sequence[int]) -> str | None:
    """Returns the line that says which players a table leaves out, or None if it leaves out none."""
    rest = np.delete(result.scores[row], list(shown))
    zero = int((rest == 0).sum())
    lower = "scores nearer 0" if has_two_signs(result) else "lower scores"
    parts = [f"{counted(len(rest) - zero, 'player')} with {lower}"] if len(rest) > zero else []
    if zero:
        parts.append(f"{counted(zero, 'player')} with score 0")
    return f"Not in the table: {' and '.join(parts)}." if parts else None


def intervals(result: Attribution, row: int) -> list[str]:
    """Returns for each player the interval of its share, or only the upper end where the lower is unknown."""
    if result.upper is None:
        return ["" for _ in result.players]
    highs = result.upper[row].tolist()
    if result.lower is None:
        digits = digits_for(highs)
        return [f"up to {digits(high)}" for high in highs]
    lows = result.lower[row].tolist()
    digits = digits_for([*lows, *highs])
    return [f"{digits(low)} – {digits(high)}" for low, high in zip(lows, highs, strict=True)]


def layer(result: Attribution, row: int, j: int) -> str:
    """Returns the name of a player's bottleneck layer, or a dash if it has none."""
    name = bottleneck_name(result, row, j)
    return "–" if name is None else visible(name)
