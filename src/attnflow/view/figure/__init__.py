"""Figures of a result in matplotlib: for papers, slides and whoever wants to add to them.

Each kind composes a `Picture` from a result: what it says and how it is drawn. It is then drawn into an axes of
the caller's, or on a figure of its own that is as high as it needs. Colours follow the style in force; global
settings are never changed.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from attnflow.attribution import Attribution
from attnflow.errors import MissingExtraError, OptionError, unknown_name
from attnflow.files import write_whole
from attnflow.view.figure.bounds import bounds
from attnflow.view.figure.flow import flow
from attnflow.view.figure.matrix import matrix
from attnflow.view.figure.sheet import Picture, draw_into, draw_new
from attnflow.view.figure.tokens import tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attnflow.comparison import Comparison

#: Every kind of figure: from a result and the kind's own options to what is drawn.
KINDS: dict[str, Callable[..., Picture]] = {
    "tokens": tokens,
    "flow": flow,
    "matrix": matrix,
    "bounds": bounds,
}
#: Settings while a figure is written: text stays text, which can be searched, edited and read aloud.
WRITING: Any = {"svg.fonttype": "none", "svg.hashsalt": "attnflow", "pdf.fonttype": 42, "ps.fonttype": 42}
#: Endings of the files that can be written, and what keeps two runs from differing.
FORMATS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None, "Creator": "attnflow"}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": "attnflow"}},
    "png": {"dpi": 200, "metadata": {"Software": "attnflow"}},
}


def plot(
    result: Attribution,
    kind: str | None = None,
    *,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
    path: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Axes:
    """Draws a result. See `Attribution.plot`."""
    check_matplotlib()
    if ax is not None and figsize is not None:
        raise OptionError("figsize= goes with a figure of its own; the axes given has a size already.")
    ending = None if path is None else _ending(path)
    picture = compose(result, kind, **options)
    axes = draw_into(picture, ax) if ax is not None else draw_new([picture], _with_pyplot, figsize)[0]
    if path is not None and ending is not None:
        write_whole(path, _bytes(axes, ending))
    return axes


def plot_several(
    comparison: Comparison,
    kind: str | None = None,
    *,
    figsize: tuple[float, float] | None = None,
    path: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Axes]:
    """Draws several results, one under the other. See `Comparison.plot`."""
    check_matplotlib()
    ending = None if path is None else _ending(path)
    axes = draw_new(_pictures(comparison, kind, **options), _with_pyplot, figsize)
    if path is not None and ending is not None:
        write_whole(path, _bytes(axes[0], ending))
    return axes


def written(
    result: Attribution | Comparison,
    format: str,
    kind: str | None = None,
    *,
    figsize: tuple[float, float] | None = None,
    **options: Any,
) -> bytes:
    """Returns a figure as the content of a file, without pyplot and so without a display.

    Args:
        result: what to draw; several results stand one under the other.
        format: "svg", "pdf" or "png".
        kind: of figure, as in `Attribution.plot`.
        figsize: in inches; None: as the figure needs.
        options: of the kind.

    Raises:
        OptionError: an unknown format or kind, or options that the kind does not take.
        MissingExtraError: matplotlib is not installed.
    """
    check_matplotlib()
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    return _bytes(draw_new(_pictures(result, kind, **options), _bare, figsize)[0], format)


def compose(result: Attribution, kind: str | None = None, **options: Any) -> Picture:
    """Composes a kind of figure.

    Args:
        result: what to draw.
        kind: "tokens", "flow", "matrix" or "bounds"; None: "tokens" for one target, "matrix" for several.
        options: of the kind; None counts as not given.

    Raises:
        OptionError: an unknown kind, or options that it does not take.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if kind is None:
        kind = "matrix" if len(result.targets) > 1 and "target" not in given else "tokens"
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS)
    taken = [name for name in inspect.signature(KINDS[kind]).parameters if name != "result"]
    for name in given:
        if name not in taken:
            known = ", ".join(taken)
            raise OptionError(f"{name}= means nothing to the figure {kind!r}, which takes {known}.")
    return KINDS[kind](result, **given)


def _pictures(result: Attribution | Comparison, kind: str | None, **options: Any) -> list[Picture]:
    if isinstance(result, Attribution):
        return [compose(result, kind, **options)]
    from attnflow.view.comparison_caption import names

    parts = [compose(part, kind, **options) for part in result]
    return [
        replace(picture, heading=f"{name}  ·  {picture.heading}")
        for name, picture in zip(names(result), parts, strict=True)
    ]


def _with_pyplot(size: tuple[float, float]) -> Any:
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size)


def _bytes(ax: Axes, format: str) -> bytes:
    import matplotlib

    figure = ax.get_figure(root=True)
    assert figure is not None
    stream = io.BytesIO()
    with matplotlib.rc_context(WRITING):
        figure.savefig(stream, format=format, **FORMATS[format])
    return stream.getvalue()


def _bare(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def _ending(path: str | os.PathLike[str]) -> str:
    ending = PurePath(path).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise OptionError(
            f"Cannot tell how to write {os.fspath(path)!r}: expected a name that ends in "
            f"{', '.join('.' + name for name in FORMATS)}."
        )
    return ending


def check_matplotlib() -> None:
    """Raises MissingExtraError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot") from error
