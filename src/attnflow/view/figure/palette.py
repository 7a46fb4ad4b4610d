"""The colours of a figure: what it is drawn on decides, and a colour-blind reader can tell them apart.

Sequential shades run from the background at 0 to one hue, signed ones to a second hue the other way. The
categories are Okabe and Ito's, with greys for what shall stay quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnflow.view.shading import AGAINST, RAMPS, Colour, Ground, contrast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap

#: Where the ramp of a heat map ends: beyond the strongest shade that text can stand on.
DEEPEST: dict[Ground, tuple[Colour, Colour]] = {
    "light": ((16, 52, 132), (128, 56, 0)),
    "dark": ((190, 222, 255), (255, 214, 160)),
}
#: Colours of the kinds of ribbon that are not grey, and of the minimum cut.
HUES: dict[Ground, dict[str, Colour]] = {
    "light": {"attention": (0, 114, 178), "cross": (0, 138, 104), "cut": (200, 70, 0)},
    "dark": {"attention": (86, 180, 233), "cross": (40, 190, 145), "cut": (255, 150, 60)},
}


@dataclass(frozen=True)
class Palette:
    """Colours that go together on one background, as sRGB from 0 to 255.

    Attributes:
        ground: "light" or "dark".
        background: what everything is drawn on.
        foreground: what text is written in.
    """

    ground: Ground
    background: Colour
    foreground: Colour

    @property
    def ink(self) -> str:
        """Primary text."""
        return hexadecimal(self.foreground)

    def faded(self, part: float) -> str:
        """Returns the ink blended into the background: `part` 1 is ink, 0 is background."""
        return hexadecimal(_blend(self.background, self.foreground, part))

    @property
    def soft(self) -> str:
        """Secondary text: the faintest blend of the ink that still reads (contrast 4.5) if any does."""
        for part in (0.62, 0.72, 0.85):
            if contrast(_blend(self.background, self.foreground, part), self.background) >= 4.5:
                return self.faded(part)
        return self.ink

    @property
    def strong(self) -> str:
        """The hue that scores are drawn in."""
        return self.hue("attention")

    def hue(self, name: str) -> str:
        """Returns the colour of "attention", "cross" or "cut"."""
        return hexadecimal(HUES[self.ground][name])

    def ramp(self, *, signed: bool = False, text: bool = False) -> LinearSegmentedColormap:
        """Returns the colour map of scores.

        Args:
            signed: from -1 to 1 with the background in the middle, instead of from 0.
            text: end where text can still stand on it; else as deep as tells most shades apart.
        """
        from matplotlib.colors import LinearSegmentedColormap

        supporting = self._stops(RAMPS[self.ground], DEEPEST[self.ground][0], text)
        stops = supporting
        if signed:
            against = self._stops(AGAINST[self.ground], DEEPEST[self.ground][1], text)
            stops = [*reversed(against), *supporting[1:]]
        return LinearSegmentedColormap.from_list("attnflow", [hexadecimal(stop) for stop in stops])

    def _stops(self, ramp: tuple[Colour, Colour], deepest: Colour, text: bool) -> list[Colour]:
        # Text is shaded by `chip`, from the weakest shade on; a heat map starts at the background.
        return [ramp[0], ramp[1]] if text else [self.background, ramp[1], deepest]


def palette_of(ax: Axes) -> Palette:
    """Returns the colours for what an axes is drawn on, as the style in force has it.

    Ink that could not be read on the background gives way to black or white.
    """
    import matplotlib
    from matplotlib.colors import to_rgba

    figure = ax.get_figure(root=True)
    layers = [ax.get_facecolor()] if ax.axison else []
    layers += [figure.get_facecolor()] if figure is not None else []
    ink = _colour(to_rgba(matplotlib.rcParams["text.color"]))
    # On a transparent figure the ink tells what the user expects behind it.
    background: Colour = (255, 255, 255) if contrast(ink, (255, 255, 255)) >= 4.5 else (0, 0, 0)
    for layer in reversed(layers):
        red, green, blue, alpha = to_rgba(layer)
        background = _blend(background, _colour((red, green, blue)), alpha)
    dark = contrast(background, (255, 255, 255)) > contrast(background, (0, 0, 0))
    if contrast(ink, background) < 4.5:
        ink = (255, 255, 255) if dark else (0, 0, 0)
    return Palette("dark" if dark else "light", background, ink)


def hexadecimal(colour: Colour) -> str:
    """Returns a colour as matplotlib, SVG and CSS write it."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def _colour(parts: Sequence[float]) -> Colour:
    red, green, blue = (round(part * 255) for part in parts[:3])
    return red, green, blue


def _blend(background: Colour, colour: Colour, part: float) -> Colour:
    red, green, blue = (round(low + (high - low) * part) for low, high in zip(background, colour))
    return red, green, blue
