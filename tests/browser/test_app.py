"""The web app in a real browser: ask, watch, cancel, link, download; by mouse and by keyboard."""

import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

SENTENCE = "The movie was not bad at all, the acting is brilliant."


@pytest.fixture
def app(visit, served):
    def open_app(path="/", **options):
        page = visit(served + path, allowed=served, **options)
        page.wait_for_selector("#methods input", state="attached")
        return page

    return open_app


def choose(page, methods=("flow",), capacities=("relevance",)):
    """Checks exactly these."""
    for name, wanted in (("method", methods), ("capacity", capacities)):
        for box in page.locator(f"input[name={name}]").all():
            box.set_checked(box.get_attribute("value") in wanted)


def explain(page, **choices):
    choose(page, **choices)
    page.get_by_role("button", name="Explain", exact=True).click()
    page.locator("#error:visible, #view .attnflow-view").first.wait_for()
    assert not page.locator("#error").is_visible(), page.locator("#error").inner_text()
    page.wait_for_url(re.compile("/r/"))


def test_the_form_waits_for_the_models(visit, served):
    held = []
    page = visit("about:blank", allowed=served)
    page.route("**/api/models", lambda route: held.append(route))
    page.goto(served)
    text = page.get_by_label("Text")
    expect(text).to_be_disabled()
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_disabled()
    expect(page.locator("#model-hint")).to_contain_text("Asking the server")
    expect(page.locator("#form")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(text).to_be_enabled()
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_enabled()


def test_a_server_that_names_no_models_leaves_the_form_closed(visit, served):
    page = visit("about:blank", allowed=served, forgive=("500",))
    page.route("**/api/models", lambda route: route.fulfill(status=500, json={}))
    page.goto(served)
    expect(page.get_by_role("alert")).to_contain_text("answered 500")
    expect(page.get_by_label("Text")).to_be_disabled()


def test_text_to_result_to_permalink(app):
    page = app()
    page.get_by_label("Text").fill(SENTENCE)
    page.get_by_label("Score each of the").select_option("words")
    explain(page)
    expect(page.locator("#view")).to_contain_text("POSITIVE")
    expect(page.locator("#view")).to_contain_text("brilliant")
    address = page.url
    again = app(address.removeprefix(page.evaluate("location.origin")))
    expect(again.locator("#view")).to_contain_text("brilliant")
    expect(again).to_have_title(re.compile("POSITIVE"))
    page.go_back()
    expect(page.locator("#result")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#view")).to_contain_text("brilliant")


def test_keyboard_alone_gets_to_a_result(app):
    page = app()
    choose(page)
    page.get_by_label("Text").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("A good film.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/r/"))
    assert page.evaluate("document.activeElement.id") == "result"
    expect(page.locator("#view")).to_contain_text("film")


def test_every_control_is_reached_by_tab(app):
    page = app()
    choose(page, capacities=("relevance",))
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('a, button, input, select, textarea, summary')]"
        ".filter((e) => e.checkVisibility() && !e.disabled).length"
    )
    seen = set()
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "() => { const e = document.activeElement; return e.id || e.value || e.textContent }"
            )
        )
    assert len(seen - {""}) >= wanted


def test_progress_is_shown_and_cancel_stops(app, served):
    page = app()
    # Shapley values of 203 tokens for each of 203 targets: no machine is done before the click.
    page.get_by_label("Text").fill("very " * 200 + "good")
    page.locator("#target").select_option("all")
    choose(page, methods=("shapley",), capacities=("attention",))
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.locator("#stage")).to_contain_text(re.compile("Sampled orders|Running the model|Compiling"))
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_have_text("Cancelled.")
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_enabled()


def test_refusals_are_shown_as_the_servers_sentence(app):
    page = app(forgive=("422",))
    choose(page)
    page.get_by_label("Output").fill("SIDEWAYS")
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("SIDEWAYS")
    page.get_by_label("Text").fill("   ")
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("Type a text to explain.")


def test_a_link_that_leads_nowhere(app):
    page = app("/r/aaaaaaaaaaaaaaaaaaaaaa", forgive=("404",))
    expect(page.get_by_role("alert")).to_contain_text("There is no result")
    expect(page.get_by_label("Text")).to_be_visible()


def test_questions_follow_the_choices(app):
    page = app()
    choose(page, capacities=("attention",))
    expect(page.get_by_label("Output")).to_be_hidden()
    expect(page.get_by_label("Generate tokens")).to_be_hidden()
    choose(page, capacities=("relevance",))
    expect(page.get_by_label("Output")).to_be_visible()
    page.get_by_label("Model").select_option("writer")
    page.get_by_label("Generate tokens").fill("2")
    page.get_by_label("Generate tokens").press("Tab")
    expect(page.get_by_label("Generated tokens")).to_be_visible()


@pytest.mark.parametrize("model", ["writer", "translator"])
def test_generation(app, model):
    page = app()
    page.get_by_label("Model").select_option(model)
    page.get_by_label("Text").fill("the quick dog")
    page.get_by_label("Generate tokens").fill("2")
    page.get_by_label("Generate tokens").press("Tab")
    page.get_by_label("Generated tokens").select_option("closed")
    explain(page, methods=("rollout",), capacities=("attention",))
    expect(page.locator("#view .attnflow-view")).to_be_visible()


def test_a_picture_is_chosen_or_dropped(app, tmp_path):
    page = app()
    page.get_by_label("Model").select_option("seer")
    page.get_by_label("Text").fill("")
    path = tmp_path / "red.png"
    Image.new("RGB", (48, 48), (200, 40, 40)).save(path)
    page.get_by_label("Image").set_input_files(path)
    expect(page.get_by_alt_text("Preview of red.png")).to_be_visible()
    explain(page, capacities=("attention",))
    expect(page.locator("#view .attnflow-view canvas").first).to_be_visible()
    page.locator("#drop").evaluate(
        """(drop) => {
            const data = new DataTransfer();
            data.items.add(new File(["no picture"], "notes.txt", { type: "text/plain" }));
            drop.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    expect(page.locator("#file-hint")).to_contain_text("notes.txt cannot be used")


def test_the_page_follows_the_theme_of_the_view(app):
    page = app()
    explain(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#view").get_by_label("Theme").select_option("dark")
    assert page.evaluate(ground) != light
    page.locator("#view").get_by_label("Theme").select_option("auto")
    assert page.evaluate(ground) == light


def test_downloads(app):
    page = app()
    explain(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(saved.value.path().read_text())["format"] == "attnflow-attribution"
    with page.expect_download() as saved:
        page.get_by_role("link", name="HTML page").click()
    assert saved.value.suggested_filename.endswith(".html")
    assert "brilliant" in saved.value.path().read_text()


def test_markup_in_a_text_is_text(app):
    page = app()
    page.get_by_label("Text").fill("A <img src=x onerror=alert(1)> film </textarea><script>alert(2)</script>")
    explain(page)
    expect(page.locator("#view")).to_contain_text("onerror")
    assert page.locator("#view img[src=x]").count() == 0
    assert not [url for url in page.watch.requests if url.endswith("/x")]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(app, served, visit, width, scheme):
    page = app(width=width, scheme=scheme)
    choose(page)
    docs = visit(served + "/docs", allowed=served, width=width, scheme=scheme)
    for each in (page, docs):
        assert each.evaluate("document.documentElement.scrollWidth") <= width
