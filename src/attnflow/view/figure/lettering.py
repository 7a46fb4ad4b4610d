"""Text in figures: tokens as they are, never mathematics, in fonts that have their characters.

Sizes are in points and measured without a renderer, so that a figure can be laid out before it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import regex

#: How much wider than measured small text may come out of a renderer that fits letters to pixels.
HINTED = 1.04
#: Stands for a character that no installed font has.
MISSING = "□"
#: Tried in this order for characters that the style's own font does not have; then every other font.
FALLBACKS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Hiragino Sans",
    "Yu Gothic",
    "PingFang SC",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Segoe UI",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Segoe UI Symbol",
    "Noto Sans Symbols2",
)
#: Fonts whose characters are not what their codes say, or that have a picture for every code.
_UNFIT = ("Last Resort", "STIX", "cm", "DejaVu Sans Display", "DejaVu Serif Display", "DejaVu Math")
#: Weights that pass for regular.
_REGULAR = frozenset({400, "normal", "regular", "book", "roman"})
#: Characters that only change how others look; dropped where no font has them.
_SILENT = regex.compile(r"[\p{Mn}\p{Cf}\p{Variation_Selector}]")


@dataclass(frozen=True)
class Lettering:
    """Text of a figure: the fonts it needs and how large it is.

    Attributes:
        families: font families, the style's own first.
        size: in points.
        replaced: what stands for characters that no installed font has.
        emphatic: whether every family has a bold face.
    """

    families: tuple[str, ...]
    size: float
    replaced: Mapping[str, str] = field(default_factory=dict)
    emphatic: bool = True

    def shown(self, text: str) -> str:
        """Returns `text` with `MISSING` for whatever no installed font has."""
        if not any(char in self.replaced for char in text):
            return text
        parts = []
        for cluster in regex.findall(r"\X", text):  # an emoji with its joiners is one sign
            lost = [char for char in cluster if self.replaced.get(char)]
            parts.append(MISSING if lost else "".join(self.replaced.get(char, char) for char in cluster))
        return "".join(parts)

    def width(self, text: str, *, bold: bool = False, scale: float = 1.0) -> float:
        """Returns the width of a line of text in points."""
        return _width(self.shown(text), self.families, bold and self.emphatic) * self.size * scale

    def style(self, *, bold: bool = False, scale: float = 1.0) -> dict[str, Any]:
        """Returns the properties of matplotlib texts: the fonts, and that nothing is mathematics or TeX."""
        return {
            "fontfamily": list(self.families),
            "fontsize": self.size * scale,
            "fontweight": "bold" if bold and self.emphatic else "normal",
            "parse_math": False,
            "usetex": False,
        }

    def fitting(self, text: str, width: float, *, bold: bool = False, scale: float = 1.0) -> str:
        """Returns `text`, or its start with an ellipsis where it would be wider than `width` points."""
        if self.width(text, bold=bold, scale=scale) <= width:
            return text
        clusters = regex.findall(r"\X", text)
        while clusters and self.width("".join(clusters) + "…", bold=bold, scale=scale) > width:
            clusters.pop()
        return "".join(clusters).rstrip() + "…"

    def wrapped(self, text: str, width: float, *, scale: float = 1.0) -> list[str]:
        """Returns `text` in lines no wider than `width` points, broken between words; a longer word stays whole."""
        lines: list[str] = []
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(longer, scale=scale) * HINTED <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def smaller(self, part: float) -> Lettering:
        """Returns the same lettering at `part` of its size."""
        return replace(self, size=self.size * part)


def lettering(texts: Iterable[str]) -> Lettering:
    """Chooses the fonts for some texts: those of the style in force, and others for what they do not have.

    Args:
        texts: everything the figure will show.
    """
    import matplotlib

    settings: dict[str, Any] = {name: matplotlib.rcParams[name] for name in _SETTINGS}
    own = [str(family) for family in _listed(settings["font.family"])]
    styles = tuple(
        str(name)
        for family in own
        for name in (_listed(settings[f"font.{family}"]) if family in _GENERIC else [family])
    )
    first = next((family for family in styles if family in _faces()), "DejaVu Sans")
    families, have = [*own], _characters(first)
    replaced: dict[str, str] = {}
    for char in sorted({char for text in texts for char in text}):
        if char in have or char.isspace():
            continue
        family = _family_with(char)
        if family is None:
            replaced[char] = "" if _SILENT.match(char) else MISSING
        elif family not in families:
            families.append(family)
            have |= _characters(family)
    if MISSING in replaced.values() and MISSING not in have:
        families.append("DejaVu Sans")
    emphatic = all(family not in _faces() or _is_bold(family) for family in families)
    return Lettering(tuple(families), float(matplotlib.rcParams["font.size"]), replaced, emphatic)


_GENERIC = frozenset({"sans-serif", "serif", "monospace", "cursive", "fantasy"})
_SETTINGS: Any = ("font.family", *(f"font.{family}" for family in sorted(_GENERIC)))


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)


@cache
def _width(text: str, families: tuple[str, ...], bold: bool) -> float:
    """Width in units of the font size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text:
        return 0.0
    properties = FontProperties(family=list(families), size=100, weight="bold" if bold else "normal")
    # A space at either end has no ink and would not be counted.
    framed, _, _ = text_to_path.get_text_width_height_descent(f"|{text}|", properties, False)
    bars, _, _ = text_to_path.get_text_width_height_descent("||", properties, False)
    return float(framed - bars) / 100


@cache
def _faces() -> dict[str, tuple[str, ...]]:
    """Files of the upright, regular faces of every installed font that can stand in, by family."""
    from matplotlib.font_manager import fontManager

    found: dict[str, list[str]] = {}
    for face in fontManager.ttflist:
        regular = face.style == "normal" and face.stretch == "normal" and face.weight in _REGULAR
        if regular and not face.name.startswith(_UNFIT):
            found.setdefault(face.name, []).append(face.fname)
    return {name: tuple(files) for name, files in found.items()}


@cache
def _is_bold(family: str) -> bool:
    from matplotlib.font_manager import fontManager

    return any(face.name == family and face.weight in (700, "bold") for face in fontManager.ttflist)


@cache
def _characters(family: str) -> frozenset[str]:
    """Every character that a font has; none of fonts that matplotlib cannot draw (bitmap emoji)."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(_faces()[family][0]).get_charmap()))
    except (KeyError, ValueError, RuntimeError, OSError):
        return frozenset()


@cache
def _family_with(char: str) -> str | None:
    names = _faces()
    preferred = [name for name in FALLBACKS if name in names]
    others = sorted(name for name in names if name not in FALLBACKS)
    return next((name for name in (*preferred, *others) if char in _characters(name)), None)
