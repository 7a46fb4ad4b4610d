"""A result as the documents that a server hands out."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path

from attnflow.serve.shelf import Result
from attnflow.view.figure import written
from attnflow.view.payload import payload

#: matplotlib is not made for several threads at a time.
_DRAWING = threading.Lock()


def page_of(result: Result) -> str:
    """One self-contained page."""
    with tempfile.TemporaryDirectory(prefix="attnflow-") as folder:
        path = Path(folder) / "page.html"
        result.to_html(path)
        return path.read_text(encoding="utf-8")


def view_of(result: Result) -> str:
    """What the browser bundle draws, as JSON."""
    return json.dumps(payload(result), allow_nan=False)


def figure_of(result: Result, kind: str | None, target: int | None) -> str:
    """A figure in SVG.

    Args:
        result: what to draw.
        kind: of figure; None for what suits the result.
        target: position of the target to draw, or None.

    Raises:
        OptionError: a kind that there is not, or that this result has not what it needs for.
        MissingExtraError: matplotlib is not installed.
    """
    with _DRAWING:
        return written(result, "svg", kind, target=target).decode("utf-8")
