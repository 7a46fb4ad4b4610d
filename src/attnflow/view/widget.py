"""A result as a widget: the interactive view, and what the reader has selected, back in Python.

Works wherever anywidget does; `docs/view.md` says where that was tried. Importing this needs the extra `notebook`.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.view.page import bundle, plain
from attnflow.view.payload import payload


class Widget(anywidget.AnyWidget):  # type: ignore[misc]
    """The interactive view of one result, or of several side by side.

    Attributes:
        payload: what is shown; assign another result with `show`.
        theme: "auto" (the notebook's own), "light" or "dark".
        selection: what the reader last chose: `result` and `target` (indices) and `player` (index or None). Empty until
            something is chosen; watch it with `observe(callback, "selection")`.
    """

    _esm = bundle()
    payload = traitlets.Dict().tag(sync=True)
    theme = traitlets.Enum(["auto", "light", "dark"], default_value="auto").tag(sync=True)
    selection = traitlets.Dict().tag(sync=True)

    def __init__(
        self, result: Attribution | Comparison, *, flow_count: int | None = None, theme: str = "auto"
    ) -> None:
        super().__init__(payload=payload(result, flow_count=flow_count), theme=theme)
        self._plain = plain(result)

    def show(self, result: Attribution | Comparison, *, flow_count: int | None = None) -> None:
        """Shows another result in the same place."""
        self.selection = {}
        self.payload = payload(result, flow_count=flow_count)
        self._plain = plain(result)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What anywidget sends, and the plain fragment for whoever shows no widgets."""
        sent: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**options)
        return None if sent is None else ({**sent[0], "text/html": self._plain}, sent[1])
