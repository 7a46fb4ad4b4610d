"""How long the page takes to draw the flow anew when its threshold moves.

python -m benchmarks.frames                    # 12 layers of 128 tokens, every size of window
python -m benchmarks.frames --layers 6 --tokens 64

A frame is measured from the event of the slider to the end of the frame in which the browser has laid out and
painted the answer. Needs `make browser`'s environment and Chromium; stands alone, as few machines have them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.trace import Trace

MEASURE = """async (values) => {
    const root = document.querySelector(".attnflow-view").shadowRoot;
    const slider = root.querySelector(".flow input[type=range]");
    const took = [];
    for (const value of values) {
        await new Promise((done) => setTimeout(done, 30));
        const start = performance.now();
        slider.value = value;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
        took.push(performance.now() - start);
    }
    return took;
}"""


def page(layers: int, tokens: int, path: Path) -> int:
    """Writes the page of a random causal network; returns the edges of its flow."""
    rng = np.random.default_rng(0)
    weights = np.tril(rng.gamma(0.3, size=(layers, tokens, tokens)) + 1e-9)
    weights /= weights.sum(axis=-1, keepdims=True)
    trace = Trace.from_arrays(decoder=weights, tokens=[f"token{n}" for n in range(tokens)])
    network = FlowNetwork.from_trace(trace, "attention", residual=0.5)
    result = attribute(network, method="central", targets=[tokens - 1], bounds=False)
    result.to_html(path)
    return sum(int((part > 0).sum()) for part in result.realize().flows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        edges = page(arguments.layers, arguments.tokens, path)
        print(f"{arguments.layers} layers x {arguments.tokens} tokens, {edges:,} edges carry flow")
        print(f"page of {path.stat().st_size / 1e6:.2f} MB")
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        print("window  rows        least   median     95 %     most  (ms per frame)")
        for width in (1280, 390):
            view = chromium.new_page(viewport={"width": width, "height": 900})
            view.goto(path.as_uri())
            view.locator(".attnflow-view .flow canvas.base").wait_for()
            rows = view.get_by_role("combobox", name="Tokens")
            for name in ("as opened", "all"):
                if name == "all":
                    rows.select_option(str(arguments.tokens))
                values = [str(v) for v in np.linspace(0, 1, 60)]
                view.evaluate(MEASURE, values[:10])
                took = np.array(view.evaluate(MEASURE, values))
                least, median, most = took.min(), np.median(took), took.max()
                late = np.quantile(took, 0.95)
                print(f"{width:6}  {name:9} {least:7.1f}  {median:7.1f}  {late:7.1f}  {most:7.1f}")
            view.close()
        chromium.close()


if __name__ == "__main__":
    main()
