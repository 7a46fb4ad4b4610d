"""The widget where others host it: marimo itself, and what VS Code and Colab do with a widget.

VS Code and Colab themselves do not run here. What they do does: anywidget's own front end is loaded as an AMD module, is
given a model and an element, and imports the widget's source from a blob; in a page whose content security policy lets
nothing else run or load, like a webview of VS Code, and in a sandboxed frame without an origin, like an output of Colab.
"""

import json
import re
from html import escape
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import expect

from attnflow.view.page import bundle
from attnflow.view.widget import Widget

HOST = Path(__file__).with_name("host.js")
#: Nothing but the host's own scripts and what they import from memory; no style that a script has not made.
POLICY = "default-src 'none'; script-src 'nonce-host' blob:; style-src 'none'; img-src data: blob:; connect-src 'none'"


@pytest.fixture
def hosted(visit, results, tmp_path):
    """Shows the widget of a result as VS Code ("webview") or Colab ("sandbox") do; returns where to look."""

    def show(kind, name):
        widget = Widget(results[name])
        state = {"_esm": str(Widget._esm), "_anywidget_id": "attnflow.Widget", "_css": ""}
        state |= {name: getattr(widget, name) for name in ("payload", "theme", "selection")}
        front = (resources.files("anywidget") / "nbextension" / "index.js").read_text(encoding="utf-8")
        data = json.dumps(state).replace("<", "\\u003c")
        body = (
            f'<meta charset="utf-8"><div id="place"></div>'
            f'<script nonce="host">let factory; const define = (names, made) => {{ factory = made }};</script>'
            f'<script nonce="host">{front}</script>'
            f'<script nonce="host">{HOST.read_text()}\nshow(factory, {data}, document.querySelector("#place"));</script>'
        )
        policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        frame = f'<iframe title="output" sandbox="allow-scripts allow-downloads" width="1100" height="2000" srcdoc="{escape(policy + body)}"></iframe>'
        path = tmp_path / f"{kind}.html"
        path.write_text("<!doctype html>" + (policy + body if kind == "webview" else frame), encoding="utf-8")
        page = visit(path.as_uri(), allowed="file:")
        inside = page if kind == "webview" else page.frames[-1]
        expect(inside.locator(".attnflow-view")).to_be_visible()
        return page, inside

    return show


@pytest.mark.parametrize("kind", ["webview", "sandbox"])
def test_anywidgets_front_end_shows_the_widget(hosted, results, kind):
    page, inside = hosted(kind, "generated")
    view = inside.locator(".attnflow-view")
    expect(view.locator(".panel.flow .picture")).to_be_visible()
    assert (
        view.locator(".panel.tokens .token").first.evaluate("(token) => getComputedStyle(token).cursor")
        == "pointer"
    ), "the style sheet is not there"
    view.get_by_role("group", name="Target").get_by_role("radio").nth(1).check()
    told = inside.evaluate("host.told()")
    assert told == {"sent": [{"result": 0, "target": 1, "player": None}], "globals": []}
    with page.expect_download() as saved:
        view.locator(".panel.flow").get_by_role("button", name="Save PNG").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG\r\n")
    inside.evaluate("(payload) => host.change('payload', payload)", Widget(results["picture"]).payload)
    expect(view.locator(".panel.tokens canvas").first).to_be_visible()
    inside.evaluate("host.leave()")
    expect(view).to_have_count(0)


def test_the_bundle_is_a_module_that_needs_no_other():
    source = bundle()
    assert not re.search(r"\bimport(?:\s+[\w{*\"']|\s*[{*\"'(])", source), "it imports something"
    assert not re.search(r"\beval\(|new Function\b|document\.write|innerHTML", source)
    assert re.search(r"export\{[^}]*\bas default\b[^}]*\}", source)
    assert not re.search(r"https?://(?!www\.w3\.org/)", source), "it names a place on the network"


def test_marimo(visit, marimo):
    address = marimo
    page = visit(address, allowed=address, forgive=("was preloaded using link preload",))
    framed = page.frame_locator("iframe").first.locator(".attnflow-view")
    expect(framed.locator(".panel.flow .picture")).to_be_visible()
    view = page.locator(".attnflow-view").first
    view.get_by_role("group", name="Target").get_by_role("radio").nth(1).check()
    expect(page.get_by_text("chosen target: 1")).to_be_visible()
