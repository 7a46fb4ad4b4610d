"""What notebooks are given: alive where scripts run, readable where they do not, nothing fetched anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import anywidget
import pytest

import results
from attnflow.comparison import Comparison
from attnflow.errors import MissingExtraError
from attnflow.view.notebook import LARGEST, frame, output
from attnflow.view.page import bundle, plain
from attnflow.view.payload import payload
from attnflow.view.widget import Widget


class Tags(HTMLParser):
    """Elements of a piece of HTML with their attributes, and what stands inside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.raw, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.raw.append((self.inside, data))


@pytest.mark.parametrize(
    "make", [results.single_target, results.many_targets, results.awkward, results.signed]
)
def test_output_is_self_contained(make):
    tags = Tags(output(make()))
    assert not {"img", "link", "iframe", "object"} & {tag for tag, _ in tags.found}
    assert not [attrs for _, attrs in tags.found if {"src", "href", "onerror", "onload"} & set(attrs)]
    assert len([tag for tag, _ in tags.found if tag == "script"]) == 1
    assert not re.search(r"@import|url\(", "".join(text for tag, text in tags.raw if tag == "style"))


def test_output_holds_the_payload_and_the_bundle():
    result = results.awkward()
    (script,) = [text for tag, text in Tags(output(result)).raw if tag == "script"]
    assert json.loads(re.search(r"await load\((\".*\")\);", script).group(1)) == bundle()
    data, _ = json.JSONDecoder().raw_decode(script[re.search(r"mount\(place, ", script).end() :])
    assert data == json.loads(json.dumps(payload(result, flow_count=3)))


def test_two_outputs_of_one_result_do_not_meet():
    result = results.single_target()
    names = [re.search(r'<div class="(attnflow-\w{12})">', output(result)).group(1) for _ in range(2)]
    assert len(set(names)) == 2


def test_the_fragment_stays_where_style_and_script_are_sanitised_away():
    result = results.single_target()
    text = output(result)
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S)
    assert "brilliant" in bare
    assert "hidden" not in bare
    assert plain(result) in text


def test_output_is_bounded(monkeypatch):
    result = results.many_targets()
    monkeypatch.setattr("attnflow.view.notebook.LARGEST", 1000)
    text = output(result)
    assert "<script" not in text
    assert "to_html(path)" in text
    assert frame(result) == plain(result)
    monkeypatch.undo()
    assert len(output(results.long())) <= LARGEST


def test_marimo_is_given_the_page_in_a_frame():
    kind, text = results.single_target()._mime_()
    assert kind == "text/html"
    ((tag, attrs),) = Tags(text).found
    assert tag == "iframe"
    assert set(attrs["sandbox"].split()) == {
        "allow-scripts",
        "allow-downloads",
    }  # no origin of the notebook's
    assert attrs["srcdoc"].startswith("<!doctype html>")
    assert unescape(attrs["srcdoc"]).count("Content-Security-Policy") == 1


@pytest.mark.parametrize("make", [results.single_target, lambda: Comparison(results.several())])
def test_a_widget_holds_the_payload(make):
    result = make()
    shown = result.widget(flow_count=0, theme="dark")
    assert isinstance(shown, anywidget.AnyWidget)
    state = shown.get_state()
    assert state["payload"] == payload(result, flow_count=0)
    assert (state["theme"], state["selection"]) == ("dark", {})
    assert state["_esm"] == bundle()


def test_a_widget_is_readable_where_widgets_are_not_shown():
    shown = results.single_target().widget()
    data, _ = shown._repr_mimebundle_()
    assert data["text/html"] == plain(results.single_target())
    assert "application/vnd.jupyter.widget-view+json" in data
    shown.show(results.signed())
    assert shown._repr_mimebundle_()[0]["text/html"] == plain(results.signed())


def test_a_widget_shows_another_result_and_forgets_the_selection():
    shown = Widget(results.single_target())
    seen = []
    shown.observe(lambda change: seen.append(change["new"]), "selection")
    shown.selection = {"result": 0, "target": 0, "player": 5}
    shown.show(results.signed())
    assert seen == [{"result": 0, "target": 0, "player": 5}, {}]
    assert shown.payload["results"][0]["two_signs"]


def test_without_anywidget_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "attnflow.view.widget", raising=False)
    with pytest.raises(MissingExtraError, match=r"attnflow\[notebook\]"):
        results.single_target().widget()


def test_outputs_need_no_widget_library():
    code = (
        "import sys; sys.path[:0] = ['tests']; import results; results.single_target()._repr_html_();"
        "sys.exit('anywidget' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_source_is_one_module():
    """Neither the bundle nor a token can end the string or the script element that holds it."""
    assert "</script" not in bundle()
    assert "<!--" not in bundle()
