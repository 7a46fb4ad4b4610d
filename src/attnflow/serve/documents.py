"""A result as the documents that a server hands out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from attnflow.serve.shelf import Result


def page_of(result: Result) -> str:
    """One self-contained page."""
    with tempfile.TemporaryDirectory(prefix="attnflow-") as folder:
        path = Path(folder) / "page.html"
        result.to_html(path)
        return path.read_text(encoding="utf-8")


def view_of(result: Result) -> str:
    """What the browser bundle draws, as JSON."""
    from attnflow.view.payload import payload

    return json.dumps(payload(result), allow_nan=False)
