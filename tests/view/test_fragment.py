"""The fragment for notebooks: whole, escaped, silent on the network, in its own scope."""

import re
from html.parser import HTMLParser
from importlib import resources

import pytest

import results
from attnflow.view.fragment import fragment

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
def test_well_formed_and_silent(make):
    source = fragment(make())
    parsed = Page(source)
    assert {tag for tag, _ in parsed.tags} <= ALLOWED
    assert parsed.scripts == []
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "href", "action", "poster", "data", "background"} & set(attributes), tag
    assert not re.search(r"https?:|url\(|@import|//[a-z]+\.[a-z]", source)


def test_tokens_are_text():
    source = fragment(results.awkward())
    parsed = Page(source)
    assert "img" not in {tag for tag, _ in parsed.tags}
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
    assert fragment(results.single_target()) in results.single_target()._repr_html_()
