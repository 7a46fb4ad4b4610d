"""A result, or several side by side, as one page: it opens from disk and makes no request.

The page holds the front end's bundle, the payload and a plain fragment for readers without JavaScript. Its own
content security policy lets nothing else run or load.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib import resources
from string import Template

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.view.payload import embedded, payload

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src '$script_hash'; img-src data: blob:; base-uri 'none'; form-action 'none'">
<title>$title · attnflow</title>
<style>:root { color-scheme: light dark } body { margin: 0 }</style>
</head>
<body>
<main></main>
<script type="application/json" data-attnflow="page">$data</script>
<noscript>$fragment</noscript>
<script type="module">$script</script>
</body>
</html>
""")


def page(
    result: Attribution | Comparison, *, flow_count: int | None = None, words: bool | None = None
) -> str:
    """Returns a complete HTML page.

    Args:
        result: one result, or several side by side.
        flow_count: how many flows to hold for drawing, see `payload`.
        words: also hold the result with words as players, see `payload`.

    Returns:
        The page as one string, without references to anything outside it.
    """
    data = payload(result, flow_count=flow_count, words=words)
    script = bundle()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _PAGE.substitute(
        script_hash=f"sha256-{digest}",
        title=escape(data["headline"]),
        data=embedded(data),
        fragment=plain(result),
        script=script,
    )


def plain(result: Attribution | Comparison) -> str:
    """Returns a result as HTML with scoped styles and no script."""
    if isinstance(result, Attribution):
        from attnflow.view.fragment import fragment

        return fragment(result)
    from attnflow.view.comparison_fragment import fragment as fragment_of_several

    return fragment_of_several(result)


@cache
def bundle() -> str:
    """Returns the front end as one ES module that exports `mount(element, payload, options)`."""
    return (resources.files("attnflow.view") / "assets" / "attnflow.js").read_text(encoding="utf-8")
