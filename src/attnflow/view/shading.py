"""From a score to a shade: one hue from 0, a second hue for what speaks against.

Blue and orange stay apart for every common colour blindness. Zero has no shade at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attnflow.attribution import Attribution, Player

Colour = tuple[int, int, int]
Ground = Literal["dark", "light", "unknown"]

#: Kinds of player that the tokenizer or a template added: shown dimmed, not shaded.
QUIET_KINDS = frozenset({"special", "template"})

#: Weakest and strongest shade on a known or unknown ground. On a known one the text keeps one colour over the
#: whole ramp; on an unknown one the ramp starts at a grey that is visible on black and on white, and grows
#: in colour rather than in lightness.
RAMPS: dict[Ground, tuple[Colour, Colour]] = {
    "dark": ((22, 32, 48), (37, 110, 220)),
    "light": ((236, 243, 253), (70, 135, 235)),
    "unknown": ((126, 134, 146), (20, 112, 255)),
}
#: Shades below this part of the scale are left out: on an unknown ground even the weakest grey stands out.
WEAKEST: dict[Ground, float] = {"dark": 0.004, "light": 0.004, "unknown": 1 / 6}
AGAINST: dict[Ground, tuple[Colour, Colour]] = {
    "dark": ((44, 32, 20), (176, 92, 0)),
    "light": ((253, 242, 230), (214, 118, 20)),
    "unknown": ((146, 138, 128), (240, 120, 0)),
}


@dataclass(frozen=True)
class Scale:
    """A linear scale from 0 to `most`, the largest absolute score that is shaded."""

    most: float

    def fraction(self, score: float) -> float:
        """Returns the shade of `score`, from -1 to 1; scores beyond the scale are clipped to its end."""
        if not self.most > 0 or score != score:
            return 0.0
        return max(-1.0, min(1.0, score / self.most))


def is_quiet(player: Player) -> bool:
    """Returns True for players that no reader wrote: special tokens and a template's own."""
    return player.kind in QUIET_KINDS


def scale_for(result: Attribution, rows: Iterable[int], *, quiet: bool = False) -> Scale:
    """Returns the scale for some targets of a result.

    Args:
        result: the result.
        rows: which targets share the scale.
        quiet: let special tokens count. Left out they cannot wash out the text; if the result has
            nothing else, or nothing else scores, they count anyway.

    Returns:
        A scale that ends at the largest absolute score.
    """
    picked = list(rows)
    everyone = list(range(len(result.players)))
    text = [j for j in everyone if not is_quiet(result.players[j])]
    for columns in (everyone,) if quiet else (text, everyone):
        most = max((abs(float(result.scores[row, j])) for row in picked for j in columns), default=0.0)
        if most > 0:
            return Scale(most)
    return Scale(0.0)


def chip(fraction: float, ground: Ground) -> tuple[Colour, Colour]:
    """Returns background and foreground for a shade.

    Args:
        fraction: from -1 to 1, not 0.
        ground: what is known about the terminal's own background.

    Returns:
        The background, and black or white, whichever stands out more from it.
    """
    weakest, strongest = (RAMPS if fraction > 0 else AGAINST)[ground]
    part = min(abs(fraction), 1.0)
    background = (
        round(weakest[0] + (strongest[0] - weakest[0]) * part),
        round(weakest[1] + (strongest[1] - weakest[1]) * part),
        round(weakest[2] + (strongest[2] - weakest[2]) * part),
    )
    black, white = (0, 0, 0), (255, 255, 255)
    return background, black if contrast(background, black) >= contrast(background, white) else white


def contrast(one: Colour, other: Colour) -> float:
    """Returns the contrast ratio of two sRGB colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
