"""What notebooks are given, in pages that stand for them: with styles of their own, with scripts and without."""

import re

import pytest
from playwright.sync_api import expect

import results
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.trace import Trace
from attnflow.view.notebook import frame, output
from attnflow.view.widget import Widget

#: A notebook's own styles, at their rudest.
RUDE = "<style>* { color: rgb(255, 0, 0) } p, span, div { font-size: 40px; display: inline } canvas, svg { display: none }</style>"


@pytest.fixture
def shown(visit, tmp_path):
    """Opens a page with this body."""

    def show(body, *, head="", **options):
        path = tmp_path / "page.html"
        path.write_text(f"<!doctype html><meta charset=utf-8>{head}<body>{body}</body>", encoding="utf-8")
        return visit(path.as_uri(), allowed="file:", **options)

    return show


def real():
    """A result with a network, so that there is a flow to draw."""
    weights = [[[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]] * 2
    network = FlowNetwork.from_trace(Trace.from_arrays(encoder=weights, tokens=["un", "believ", "able"]))
    return attribute(network, method="shapley", targets=[0])


def test_the_view_takes_the_place_of_the_fragment(shown):
    page = shown(output(real()), head=RUDE)
    view = page.locator(".attnflow-view")
    expect(view).to_have_count(1)
    expect(page.locator(".attnflow-plain")).to_be_hidden()
    expect(view.get_by_role("application").first).to_be_visible()
    heading = view.locator("h1, h2").first
    assert heading.evaluate("element => getComputedStyle(element).color") != "rgb(255, 0, 0)"


def test_the_same_output_twice_and_another(shown):
    once = output(real())
    page = shown(once + once + output(results.many_targets()))
    expect(page.locator(".attnflow-view")).to_have_count(3)


def test_where_scripts_do_not_run_the_fragment_is_read(shown):
    page = shown(output(results.single_target()), java_script_enabled=False)
    expect(page.locator(".attnflow-plain")).to_be_visible()
    expect(page.locator(".attnflow-plain")).to_contain_text("brilliant")


def test_a_token_is_text(shown):
    page = shown(output(results.awkward()))
    expect(page.locator(".attnflow-view")).to_have_count(1)
    assert page.locator("img").count() == 0
    expect(page.locator(".attnflow-view")).to_contain_text("<img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("behind", "ground"),
    [("#fff", "light"), ("#111", "dark"), ("oklch(0.98 0 0)", "light"), ("color(srgb 0.1 0.1 0.1)", "dark")],
)
def test_the_notebooks_own_theme_is_taken(shown, behind, ground):
    """Whatever the reader's system prefers."""
    scheme = "dark" if ground == "light" else "light"
    page = shown(output(real()), head=f"<style>body {{ background: {behind} }}</style>", scheme=scheme)
    heading = page.locator(".attnflow-view").locator("h1, h2").first
    expect(heading).to_be_visible()
    colour = heading.evaluate("element => getComputedStyle(element).color")
    bright = sum(map(int, re.findall(r"\d+", colour)[:3])) > 380
    assert bright == (ground == "dark")


def test_a_frame_is_the_page(shown):
    page = shown(frame(real()))
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("application").first).to_be_visible()


def test_the_widget_draws_again_and_goes(shown):
    first, second = Widget(real()), Widget(results.many_targets())
    page = shown("<div id=place></div>")
    found = page.evaluate(
        """async ([source, first, second]) => {
            const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
            const { default: widget } = await import(address);
            const state = { payload: first, theme: "auto", selection: {} }, told = {};
            const model = {
                get: (name) => state[name],
                set: (name, value) => { state[name] = value },
                save_changes: () => {},
                on: (name, run) => { told[name] = run },
                off: (name) => { delete told[name] },
            };
            const place = document.querySelector("#place");
            const away = await widget.render({ model, el: place });
            window.place = place;
            const text = () => place.querySelector(".attnflow-view").shadowRoot.textContent;
            const before = text();
            state.payload = second;
            told["change:payload"]();
            window.finish = () => {
                away();
                return { told: Object.keys(told), left: place.querySelectorAll(".attnflow-view").length };
            };
            window.state = state;
            return [before, text(), place.childElementCount];
        }""",
        [str(Widget._esm), first.payload, second.payload],
    )
    before, after, count = found
    assert first.payload["headline"] in before
    assert second.payload["headline"] in after
    assert count == 1
    page.locator("#place select, #place [role=option], #place td, #place [data-target]").first.wait_for(
        state="attached"
    )
    assert page.evaluate("finish()") == {"told": [], "left": 0}
