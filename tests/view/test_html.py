"""The page and the fragment: whole, escaped, silent on the network, readable in both themes."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

import results
from attnflow.view.html import fragment, page
from attnflow.view.shading import contrast

ALL = [
    results.single_target, results.uniform, results.estimated, results.many_targets, results.encoder_decoder,
    results.awkward, results.signed,
]  # fmt: skip
VOID = {"meta", "input", "br", "link", "img", "hr"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "p", "h1", "h2", "h3", "small", "section",
    "div", "span", "fieldset", "legend", "label", "input", "bdi", "i", "ul", "li", "table", "caption", "thead",
    "tbody", "tr", "th", "td", "details", "summary", "dl", "dt", "dd", "script", "br",
}  # fmt: skip


class Page(HTMLParser):
    """Parses a page, refusing tags that do not nest, and remembers what there is."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.scripts, self.ids = [], [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"doubled attribute in {tag} {attrs}"
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)

    def found(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("view", [page, fragment])
def test_well_formed(make, view):
    parsed = Page(view(make()))
    assert {tag for tag, _ in parsed.tags} <= ALLOWED
    assert len(parsed.ids) == len(set(parsed.ids))
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("view", [page, fragment])
def test_asks_the_network_for_nothing(make, view):
    source = view(make())
    for tag, attributes in Page(source).tags:
        assert not {"src", "srcset", "href", "action", "poster", "data", "background"} & set(attributes), tag
    assert not re.search(r"https?:|url\(|@import|//[a-z]+\.[a-z]", source)


def test_own_policy_allows_only_its_script():
    source = page(results.single_target())
    (policy,) = [meta["content"] for meta in Page(source).found("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'")
    import base64
    import hashlib

    script = Page(source).scripts[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-inline'; script" not in policy.split("style-src")[0]


@pytest.mark.parametrize("view", [page, fragment])
def test_tokens_are_text(view):
    source = view(results.awkward())
    parsed = Page(source)
    assert "img" not in {tag for tag, _ in parsed.tags}
    assert len(parsed.scripts) == (2 if view is page else 0)
    text = "".join(parsed.text)
    for label in (
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(2)</script>",
        "&amp;",
        "{{x}} ${y} $z",
    ):
        assert label in text
    assert "left⟨U+202E⟩right" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", source)
    source.encode("utf-8")


def test_data_cannot_leave_its_script():
    source = page(results.awkward())
    data, script = Page(source).scripts
    assert json.loads(data)["players"][0] == "<img src=x onerror=alert(1)>"
    assert not re.search(r"[<>&]", data)
    assert "</" not in script
    assert "innerHTML" not in script
    assert "eval" not in script


@pytest.mark.parametrize("make", ALL)
def test_every_number_is_there(make):
    result = make()
    parsed = Page(page(result))
    text = " ".join(parsed.text)
    data = json.loads(parsed.scripts[0])
    assert len(data["targets"]) == len(result.targets)
    for row, target in enumerate(data["targets"]):
        assert len(target["scores"]) == len(result.players)
        for score, shown in zip(result.scores[row], target["scores"], strict=True):
            if not shown.startswith(("<", ">")):
                assert float(shown.replace(",", "")) == pytest.approx(
                    score, abs=0.006 * np.abs(result.scores[row]).max()
                )
    for shown in data["targets"][0]["scores"]:  # without JavaScript the first target is in the page
        assert shown in text
    if result.upper is not None:
        for shown in data["targets"][0]["intervals"]:
            assert shown in text
    for player in data["players"]:
        assert player in text


def test_tables_are_tables():
    parsed = Page(page(results.many_targets()))
    tables = parsed.found("table")
    assert len(tables) == 2
    assert len(parsed.found("caption")) == 2
    heads = [attributes.get("scope") for attributes in parsed.found("th")]
    assert set(heads) <= {"col", "row"}
    rows = 13 + 9
    assert heads.count("row") == rows


def test_page_tells_what_it_is():
    parsed = Page(page(results.single_target()))
    assert parsed.found("html") == [{"lang": "en"}]
    assert {"name": "color-scheme", "content": "light dark"} in parsed.found("meta")
    assert any(meta.get("name") == "viewport" for meta in parsed.found("meta"))
    text = "".join(parsed.text)
    assert "What “positive” draws on · attnflow" in text
    assert "unsigned, the same whatever class is asked about" in text
    assert "fixed by construction" in text


def test_targets_switch_by_native_radio_buttons_and_read_without_a_script():
    parsed = Page(page(results.encoder_decoder()))
    radios = [attributes for attributes in parsed.found("input") if attributes["type"] == "radio"]
    assert [radio["value"] for radio in radios] == ["0", "1", "2"]
    assert sum("checked" in radio for radio in radios) == 1
    assert parsed.found("fieldset") == [{"class": "switch", "hidden": None}]  # the script shows it
    matrix = "".join(parsed.text)
    assert all(target.name in matrix for target in results.encoder_decoder().targets)
    assert not [a for a in Page(page(results.single_target())).found("input") if a["type"] == "radio"]


def test_toggles_are_there_only_with_something_to_toggle():
    def boxes(result):
        return {a["id"] for a in Page(page(result)).found("input") if a["type"] == "checkbox"}

    assert boxes(results.single_target()) == {"shade-special", "show-bounds"}
    assert boxes(results.many_targets()) == {"show-bounds"}
    assert boxes(results.estimated()) == {"shade-special"}


def test_large_matrices_leave_out_players_and_say_so():
    result = results.long()
    many = replace(
        result,
        scores=np.repeat(result.scores, 60, axis=0),
        total=np.ones(60),
        targets=result.targets * 60,
        lower=None,
        upper=None,
        bottleneck=None,
    )
    source = page(many)
    assert "players with the lowest scores left out" in source
    assert len(source) < 4_000_000


def test_fragment_is_scoped_and_short_for_long_inputs():
    source = fragment(results.long())
    style = Page(source).tags
    assert style[0][1]["class"] == "attnflow"
    css = (resources.files("attnflow.view") / "assets" / "fragment.css").read_text()
    for selector in re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", css, flags=re.S)):
        assert all(part.strip().startswith(".attnflow") for part in selector.split(","))
    assert source.count("<tr>") <= 17
    assert fragment(results.many_targets()).count("<table>") == 1


def test_notebook_representation():
    assert results.single_target()._repr_html_() == fragment(results.single_target())


def test_to_html_writes_the_page(tmp_path):
    path = tmp_path / "page.html"
    results.single_target().to_html(path)
    assert path.read_text(encoding="utf-8") == page(results.single_target())


# -- colours -------------------------------------------------------------------------------------------


def themes():
    css = (resources.files("attnflow.view") / "assets" / "page.css").read_text()
    light, dark = (
        dict(re.findall(r"--([a-z]+): ([^;]+);", rule))
        for rule in re.findall(r":root \{(.*?)\}", css, re.S)[:2]
    )
    return {"light": light, "dark": dark}


def colour(text):
    if text.startswith("#"):
        return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(map(int, text.split()))


def test_dark_theme_follows_the_system():
    css = (resources.files("attnflow.view") / "assets" / "page.css").read_text()
    assert "@media (prefers-color-scheme: dark)" in css
    light, dark = themes().values()
    assert set(dark) == set(light)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_is_enough(theme):
    palette = themes()[theme]
    ground, raised, ink = (colour(palette[name]) for name in ("ground", "raised", "ink"))
    for under in (ground, raised):
        for name in ("ink", "soft", "link"):
            assert contrast(colour(palette[name]), under) >= 4.5
    for hue in ("hue", "against"):
        shade = colour(palette[hue])
        for part in np.linspace(0, float(palette["reach"]), 20):
            mixed = tuple(
                round(part * over + (1 - part) * under) for over, under in zip(shade, ground, strict=True)
            )
            assert contrast(ink, mixed) >= 4.5
        assert contrast(shade, ground) >= 3  # bars
