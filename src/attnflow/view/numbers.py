"""Numbers as a reader wants them: few digits, the same for a whole column, never a false zero."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Digits:
    """How every number of one column is written.

    Attributes:
        decimals: digits after the point; None for a power of ten behind three significant digits.
    """

    decimals: int | None

    def __call__(self, value: float) -> str:
        """Returns `value` as text: 0 only for an exact zero, `<0.001` for what rounding would hide."""
        if math.isnan(value):
            return "undefined"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == 0:
            return "0"
        if self.decimals is None:
            return scientific(value)
        text = f"{value:,.{self.decimals}f}"
        if float(text.replace(",", "")) == 0:
            least = f"{10.0**-self.decimals:.{self.decimals}f}"
            return f"<{least}" if value > 0 else f">-{least}"
        return text


def digits_for(values: Iterable[float], errors: Iterable[float] = (), *, significant: int = 3) -> Digits:
    """Chooses the digits for one column of numbers.

    The largest gets `significant` digits; where standard errors are known, no digit below the
    second of the largest error.

    Args:
        values: the column.
        errors: standard errors of the values, in the same units.
        significant: digits of the largest value.

    Returns:
        A `Digits` that writes each of them.
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0:
        return Digits(significant)
    size = math.floor(math.log10(largest))
    if size < -4 or size > 6:
        return Digits(None)
    decimals = significant - 1 - size
    error = max((abs(value) for value in errors if math.isfinite(value)), default=0.0)
    if error > 0:
        decimals = min(decimals, max(1 - math.floor(math.log10(error)), -size))
    return Digits(max(decimals, 0))


def scientific(value: float, significant: int = 3) -> str:
    """Returns `value` as a number from 1 to 10 times a power of ten: `3.18×10⁻⁵`."""
    digits, power = f"{value:.{significant - 1}e}".split("e")
    return f"{digits}×10{str(int(power)).translate(RAISED)}"


def single(value: float) -> str:
    """Returns one number on its own: three significant digits, whole numbers without a point."""
    near = round(value)
    if abs(value - near) < 5e-7 and abs(near) < 1_000_000:
        return f"{near:,}"
    return digits_for((value,))(value)


def probability(value: float) -> str:
    """Returns a probability with three decimals, never rounded to a certain 0 or 1."""
    if 0 < value < 0.0005:
        return "<0.001"
    if 0.9995 <= value < 1:
        return ">0.999"
    return f"{value:.3f}" if 0 < value < 1 else f"{value:.0f}"


def counted(number: int, noun: str) -> str:
    """Returns `1 token`, `2 tokens`, `1,200 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
