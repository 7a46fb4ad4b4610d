"""Every interaction of the view, in a page from disk, in the served app and in JupyterLab."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from accessibility import violations
from places import FromDisk, Notebook, Served
from playwright.sync_api import expect
from shown import Shown

EVERYWHERE = ("disk", "served", "notebook")


@pytest.fixture
def opened(request, visit, results, tmp_path_factory):
    """Opens a result in a place by name, and returns what is shown."""

    def open_in(place, name, **options):
        if place == "disk":
            return Shown(FromDisk(visit, results, request.getfixturevalue("pages")).open(name, **options))
        if place == "served":
            links = request.getfixturevalue("links")
            return Shown(Served(visit, request.getfixturevalue("served"), links).open(name, **options))
        return Shown(Notebook(visit, request.getfixturevalue("jupyter")).open(name, **options))

    return open_in


@pytest.mark.parametrize("place", EVERYWHERE)
def test_comparison(opened, place):
    """Tokens, flow, methods, words, layers, threshold, whiskers, dimming: one opening for all of them."""
    view = opened(place, "several")
    hover_lights_and_click_pins(view)
    threshold_hides_ribbons(view)
    layers_fold(view)
    whiskers_on_demand(view)
    special_tokens_dim(view)
    methods_switch(view)
    numbers_unfold(view)
    tokens_become_words(view)


@pytest.mark.parametrize("place", EVERYWHERE)
def test_targets(opened, place):
    """Targets and their matrix, by mouse and by keyboard."""
    view = opened(place, "generated")
    targets_switch(view)
    matrix_click_shows_a_target(view)
    keyboard_reaches_everything(view)


def hover_lights_and_click_pins(view):
    still = view.painted()
    token = view.token("brilliant")
    token.hover()
    expect(view.tip).to_be_visible()
    expect(view.tip).to_contain_text("brilliant")
    assert view.painted() != still, "hovering a token lights nothing in the flow"
    view.page.mouse.move(2, 2)
    expect(view.tip).to_be_hidden()
    assert view.painted() == still
    token.click()
    expect(token).to_have_attribute("aria-pressed", "true")
    view.page.mouse.move(2, 2)
    expect(view.tip).to_be_hidden()
    assert view.painted() != still, "a pinned token stays lit"
    token.press("Escape")
    expect(token).to_have_attribute("aria-pressed", "false")


def threshold_hides_ribbons(view):
    count = view.flow.get_by_text(re.compile(r"ribbons? shown"))
    before = count.inner_text()
    base = view.painted(".flow canvas.base")
    view.set_slider(0.9)
    expect(count).to_contain_text("hidden")
    assert view.painted(".flow canvas.base") != base
    view.set_slider(0)
    expect(count).to_have_text(before)
    slider = view.flow.locator("input[type=range]")
    slider.focus()
    slider.press("End")
    expect(count).to_contain_text("hidden")
    slider.press("Home")
    expect(count).to_have_text(before)


def layers_fold(view):
    count = view.flow.get_by_text(re.compile(r"ribbons? shown"))
    chip = view.flow.get_by_role("button", name="Layer 3")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")
    expect(count).to_contain_text("1 layer folded")
    view.flow.get_by_role("button", name="Ends only").click()
    expect(count).to_contain_text("layers folded")
    view.flow.get_by_role("button", name="All", exact=True).click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(count).not_to_contain_text("folded")


def whiskers_on_demand(view):
    box = view.tokens.get_by_label("Bounds as whiskers")
    expect(view.tokens.locator(".whisker")).to_have_count(0)
    box.check()
    expect(view.token("brilliant").locator(".whisker")).to_be_visible()
    box.uncheck()
    expect(view.tokens.locator(".whisker")).to_have_count(0)


def special_tokens_dim(view):
    dim = view.tokens.get_by_label("Dim")
    expect(view.token("[CLS]")).not_to_have_class(re.compile(r"\bdim\b"))
    dim.select_option("special")
    expect(view.token("[CLS]")).to_have_class(re.compile(r"\bdim\b"))
    dim.select_option("none")
    expect(view.token("[CLS]")).not_to_have_class(re.compile(r"\bdim\b"))


def methods_switch(view):
    label = view.flow.locator(".picture")
    before = view.painted(".flow canvas.base")
    own = re.compile("from “")  # of method flow, every player has a flow of its own
    expect(label).to_have_attribute("aria-label", own)
    view.root.get_by_role("group", name="Method").get_by_role("radio", name="shapley").check()
    expect(label).not_to_have_attribute("aria-label", own)
    assert view.painted(".flow canvas.base") != before
    expect(view.tokens.get_by_role("button", name="shapley")).to_have_attribute("aria-pressed", "true")
    view.tokens.get_by_role("button", name="flow").click()
    expect(label).to_have_attribute("aria-label", own)


def numbers_unfold(view):
    view.root.get_by_text("Numbers", exact=True).click()
    table = view.root.get_by_role("region", name="Scores of the players")
    expect(table).to_contain_text("brilliant")


def tokens_become_words(view):
    expect(view.token("pre")).to_have_text("pre")
    choice = view.root.get_by_role("combobox", name="Players")
    choice.select_option("words")
    expect(view.token("unpretentious")).to_have_text("unpretentious")
    choice.select_option("tokens")
    expect(view.token("pre")).to_have_text("pre")


def targets_switch(view):
    label = view.flow.locator(".picture")
    said = label.get_attribute("aria-label")
    group = view.root.get_by_role("group", name="Target")
    group.get_by_role("radio").nth(1).check()
    expect(label).not_to_have_attribute("aria-label", said)
    group.get_by_role("radio").nth(0).focus()
    view.page.keyboard.press("ArrowRight")
    expect(group.get_by_role("radio").nth(1)).to_be_checked()
    group.get_by_role("radio").nth(0).check()
    expect(label).to_have_attribute("aria-label", said)


def matrix_click_shows_a_target(view):
    group = view.root.get_by_role("group", name="Target")
    canvas = view.matrix.locator("canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": 80, "y": box["height"] - 12})  # the last row, one of the first columns
    expect(group.get_by_role("radio").last).to_be_checked()
    expect(view.root.locator("p.target")).to_contain_text(group.locator("label").last.inner_text())
    view.page.mouse.move(2, 2)


def keyboard_reaches_everything(view):
    view.root.get_by_role("group", name="Target").get_by_role("radio").first.check()  # whose flow is held
    token = view.tokens.locator(".token").first
    token.focus()
    view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("ArrowLeft")
    view.page.keyboard.press("Enter")
    expect(token).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("Escape")
    expect(token).to_have_attribute("aria-pressed", "false")
    still = view.painted()
    view.flow.locator(".picture").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        view.page.keyboard.press(key)
    expect(view.tip).to_contain_text("Flow through")
    assert view.painted() != still
    view.page.keyboard.press("Escape")
    expect(view.tip).to_be_hidden()
    view.matrix.locator(".picture").focus()
    view.page.keyboard.press("ArrowUp")
    expect(view.tip).to_be_visible()
    view.page.keyboard.press("Enter")
    view.page.keyboard.press("Escape")
    seen = set()
    token.focus()
    for _ in range(40):
        view.page.keyboard.press("Tab")
        seen.add(view.active())
    assert {"picture", "chip"} <= seen
    assert "BUTTON" in seen or "INPUT" in seen


@pytest.mark.parametrize(
    ("place", "panel"),
    [
        *((place, panel) for place in ("disk", "served") for panel in ("tokens", "flow", "matrix")),
        ("notebook", "flow"),
    ],
)
def test_pictures_are_saved(opened, place, panel):
    view = opened(place, "generated")
    area = getattr(view, panel)
    with view.page.expect_download() as saved:
        area.get_by_role("button", name="Save SVG").click()
    assert saved.value.suggested_filename.endswith(".svg")
    picture = ElementTree.parse(saved.value.path()).getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert "quick" in "".join(picture.itertext())
    with view.page.expect_download() as saved:
        area.get_by_role("button", name="Save PNG").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("name", ["single", "several", "generated", "translated", "picture"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_in_light_and_dark_at_any_width(opened, name, scheme):
    view = opened("disk", name, scheme=scheme)
    assert violations(view.page) == []
    ground = view.root.evaluate(
        "(host) => { let e = host.shadowRoot.firstElementChild; return getComputedStyle(e).color }"
    )
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 380
    assert light == (scheme == "dark")
    view.page.set_viewport_size({"width": 390, "height": 844})
    view.painted(".flow canvas.base")
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(view.page) == []


def test_the_theme_can_be_chosen(opened):
    view = opened("disk", "single")
    colour = "(host) => getComputedStyle(host.shadowRoot.firstElementChild).color"
    before = view.root.evaluate(colour)
    view.root.get_by_label("Theme").select_option("dark")
    assert view.root.evaluate(colour) != before
    view.root.get_by_label("Theme").select_option("light")
    assert view.root.evaluate(colour) == before


def test_a_page_asks_for_nothing(opened):
    view = opened("disk", "generated")
    view.token("quick").hover()
    assert len(view.page.watch.requests) == 1
    assert view.page.watch.requests[0].startswith("file://")


@pytest.mark.parametrize("place", EVERYWHERE)
def test_markup_in_tokens_is_text(opened, place):
    view = opened(place, "awkward")
    expect(view.tokens).to_contain_text("<img src=x onerror=alert(1)>")
    view.token("onerror").hover()
    expect(view.tip).to_contain_text("onerror")
    assert view.root.locator("img, script, b:has-text('bold') b").count() == 0
    assert not [url for url in view.page.watch.requests if url.endswith("/x")]


def test_a_long_text_has_an_overview_that_leads_to_its_parts(opened):
    view = opened("disk", "long", width=390)
    note = view.tokens.locator(".overview .note")
    expect(note).to_contain_text(re.compile(r"the box shows 1 to \d+\. .* joined in a cell"))
    canvas = view.tokens.locator(".overview canvas")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] - 4, "y": 8})
    count = view.tokens.locator(".token").count()
    expect(note).to_contain_text(f" to {count}.")
    expect(note).not_to_contain_text("shows 1 to")
    with view.page.expect_download() as saved:
        view.tokens.get_by_role("button", name="Save SVG").click()
    picture = ElementTree.parse(saved.value.path()).getroot()
    heights = [float(part.get("y")) for part in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert 0 <= min(heights) <= max(heights) <= float(picture.get("height")), "text is cut off"
    assert "box shows" not in "".join(picture.itertext())


def test_a_picture_is_shaded_by_patches(opened):
    view = opened("disk", "picture")
    canvas = view.tokens.locator("canvas").first
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    view.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(view.tip).to_contain_text("patch")


def test_a_widget_mounts_and_reacts(visit, jupyter, results):
    page = Notebook(visit, jupyter).open("generated", call=".widget()")
    view = Shown(page)
    targets_switch(view)
