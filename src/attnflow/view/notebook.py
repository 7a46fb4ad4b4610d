"""A result in a notebook: the interactive view inside the output itself, without a server or a request.

What a notebook is given reads in three ways. Where scripts run (Jupyter, VS Code, Colab, exported pages) the view
mounts itself in a shadow root and the plain fragment makes way for it. Where they do not (an untrusted
notebook, GitHub) the fragment stays. marimo, which runs no scripts of an output, is given the page in a frame.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING
from uuid import uuid4

from attnflow.attribution import Attribution
from attnflow.errors import MissingExtraError
from attnflow.view.page import bundle, page, plain
from attnflow.view.payload import embedded, payload

if TYPE_CHECKING:
    from attnflow.comparison import Comparison
    from attnflow.view.widget import Widget

#: Flows that an output holds: each costs a maximum flow problem whenever the result is shown.
FLOWS = 3
#: Characters of an output beyond which it holds no flow, and then no interactive view; notebooks keep every output.
LARGEST = 2_000_000
#: Height of a frame, in pixels.
FRAME = 680


def output(result: Attribution | Comparison) -> str:
    """Returns what a notebook shows of a result.

    Args:
        result: one result, or several side by side.

    Returns:
        HTML of at most about two million characters: the plain fragment, and the interactive view that replaces it
        where scripts run.
    """
    fallback = plain(result)
    for count in (FLOWS, 0):
        text = _live(result, fallback, count)
        if len(text) <= LARGEST:
            return text
    return f"{fallback}<p>Too large to be interactive here: write a page with <code>to_html(path)</code>.</p>"


def frame(result: Attribution | Comparison) -> str:
    """Returns the page in a frame, for notebooks that run no scripts of an output but show frames."""
    for count in (FLOWS, 0):
        inner = page(result, flow_count=count)
        if len(inner) <= LARGEST:
            return (
                f'<iframe title="attnflow" srcdoc="{escape(inner, quote=True)}" '
                f'sandbox="allow-scripts allow-downloads" '
                f'style="width:100%;height:{FRAME}px;border:0;resize:vertical"></iframe>'
            )
    return plain(result)


def widget(result: Attribution | Comparison, *, flow_count: int | None, theme: str) -> Widget:
    """Returns a widget of a result. See `Attribution.widget`."""
    try:
        from attnflow.view.widget import Widget
    except ModuleNotFoundError as error:
        raise MissingExtraError("anywidget", "notebook") from error
    return Widget(result, flow_count=flow_count, theme=theme)


def _live(result: Attribution | Comparison, fallback: str, flow_count: int) -> str:
    # The same output may be shown twice, so every place of this name is filled.
    name = f"attnflow-{uuid4().hex[:12]}"
    data = embedded(payload(result, flow_count=flow_count))
    script = (
        f"{_asset('notebook.js')}\nconst {{ ground, mount }} = await load({_text(bundle())});\n"
        f'for (const place of document.querySelectorAll(".{name}:empty")) '
        f"mount(place, {data}, {{ theme: ground(place) }});"
    )
    # Sanitised away, neither rule nor script hides the fragment.
    style = f".attnflow-plain:has(+ .{name}:not(:empty)) {{ display: none }}"
    return (
        f'<div class="attnflow-output"><style>{style}</style><div class="attnflow-plain">{fallback}</div>'
        f'<div class="{name}"></div></div><script type="module">{script}</script>'
    )


def _text(text: str) -> str:
    """Text as a JavaScript string that cannot end a script element or start a comment in it."""
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _asset(name: str) -> str:
    """Returns a file of the folder `assets` as text."""
    return (resources.files("attnflow.view") / "assets" / name).read_text(encoding="utf-8").rstrip("\n")
