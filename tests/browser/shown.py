"""One mounted view, by what a reader sees of it."""

from __future__ import annotations

from playwright.sync_api import expect


class Shown:
    """The view on a page.

    Args:
        page: the page.
    """

    def __init__(self, page):
        self.page = page
        self.root = page.locator(".attnflow-view")
        expect(self.root).to_be_visible()
        self.flow = self.root.locator(".panel.flow")
        self.matrix = self.root.locator(".panel.matrix")
        self.tokens = self.root.locator(".panel.tokens")
        self.tip = self.root.locator(".tip")

    def token(self, text, strip=0):
        """The token that reads so, in one of the strips."""
        return self.tokens.locator(".passage").nth(strip).locator(".token", has_text=text).first

    def painted(self, canvas=".flow canvas.top"):
        """What a canvas shows, once it has been painted."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        if canvas.endswith(".base"):  # what lies outside the window is painted a moment later
            self.page.wait_for_timeout(250)
        return self.root.locator(canvas).evaluate("(canvas) => canvas.toDataURL()")

    def active(self):
        """Class or name of the focused element, inside the shadow root."""
        return self.root.evaluate(
            "(host) => { const e = host.shadowRoot.activeElement; return e && (e.className || e.tagName) }"
        )

    def set_slider(self, value):
        """Moves the threshold."""
        self.flow.locator("input[type=range]").evaluate(
            "(e, value) => { e.value = value; e.dispatchEvent(new Event('input', { bubbles: true })) }",
            str(value),
        )
