"""Draws every picture of the gallery again, from real models: `make gallery`.

    python docs/pictures.py                   # all
    python docs/pictures.py encoder decoder   # some models only

The models are those of `experiments/packaged` (`make realmodels` installs them) and the bundled one. Each picture is
written twice, for light and for dark pages, as a PNG with few colours. Pictures of the page and of the web app need
Chromium and playwright.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.request import urlopen

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
OUT = ROOT / "docs" / "pictures"

REVIEW = "The movie was not bad at all, the acting is brilliant."
#: Width of a window that is photographed, in pixels.
WIDTH = 1100
#: Style of each variant; the backgrounds are those of the site.
STYLES = {
    "light": {},
    "dark": {"figure.facecolor": "#1e2129", "axes.facecolor": "#1e2129", "text.color": "#e6e8ee"},
}


@dataclass(frozen=True)
class Picture:
    """One picture: its file's name, the result, and what `plot` is told."""

    name: str
    result: Any
    kind: str | None = None
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Page:
    """A picture of the interactive page: its file's name, the result, and what a reader chooses first, by label."""

    name: str
    result: Any
    choose: tuple[tuple[str, str], ...] = ()


def encoder() -> Iterator[Picture | Page]:
    """A classifier of movie reviews."""
    import attnflow

    flow = attnflow.explain("sentiment", REVIEW, players="words")
    yield Picture("encoder-tokens", flow)
    yield Picture("encoder-flow", flow, "flow")
    yield Page("page-encoder", flow)
    shares = attnflow.explain("sentiment", REVIEW, players="words", method="shapley", samples=512)
    yield Picture("encoder-bounds", shares, "bounds")
    signed = "Great actors, wasted on a dull and predictable story."
    yield Picture("encoder-signed", attnflow.explain("sentiment", signed, players="words", signed=True))
    both = attnflow.explain("sentiment", REVIEW, players="words", capacity=["attention", "conserved"])
    yield Picture("encoder-comparison", both)


def decoder() -> Iterator[Picture | Page]:
    """A language model that has to make a verb agree."""
    from experiments.packaged import load

    import attnflow

    gemma = load("gemma")
    text = "The keys to the cabinet"
    asked = {"tokenizer": gemma.tokenizer, "bounds": False}
    agrees = attnflow.explain(gemma.model, text, output=(" are", " is"), **asked)
    yield Picture("decoder-tokens", agrees)
    yield Picture("decoder-flow", agrees, "flow")
    yield Page("page-decoder", agrees)
    written = attnflow.explain(gemma.model, "Paris is the capital of", generate=6, **asked)
    yield Picture("decoder-matrix", written, "matrix")


def encoder_decoder() -> Iterator[Picture | Page]:
    """A speech recogniser that hears two words."""
    from experiments.packaged import load
    from experiments.packaged.clips import RATE, clip

    import attnflow

    whisper = load("whisper")
    wave = clip()
    _shorten(whisper.model, whisper.processor, seconds=2)
    heard = attnflow.explain(
        whisper.model,
        audio=(wave, RATE),
        processor=whisper.processor,
        generate=4,
        bounds=False,
    )
    spoken = next(row for row, target in enumerate(heard.targets) if "ent" in (target.label or ""))
    yield Picture("speech-tokens", heard[spoken])
    yield Picture("speech-flow", heard[spoken], "flow", (("top", 24),))
    yield Page("page-encoder-decoder", heard, (("Target", heard.targets[spoken].name), ("Tokens", "16")))


def _shorten(model: Any, processor: Any, seconds: int) -> None:
    """Lets Whisper read a short clip without the 30 seconds of silence that it was trained to be padded with."""
    import torch

    positions = model.model.encoder.embed_positions
    kept = 50 * seconds
    positions.weight = torch.nn.Parameter(positions.weight[:kept].clone())
    positions.num_embeddings = model.config.max_source_positions = kept
    extractor = processor.feature_extractor
    extractor.chunk_length = seconds
    extractor.n_samples = seconds * extractor.sampling_rate
    extractor.nb_max_frames = extractor.n_samples // extractor.hop_length


def image() -> Iterator[Picture]:
    """A vision transformer that looks at a photograph."""
    from experiments.packaged import load
    from skimage import data

    import attnflow

    dinov2 = load("dinov2")
    seen = attnflow.explain(
        dinov2.model,
        image=data.astronaut(),
        processor=dinov2.processor,
        method="flow",
        layers=(11, 12),
        bounds=False,
    )
    yield Picture("image-tokens", seen)


def _example(name: str, picture: str) -> Iterator[Picture]:
    """One of the examples that `make realmodels` checks."""
    from experiments.packaged import load
    from experiments.packaged.examples import explained

    yield Picture(picture, explained(load(name)))


#: What is drawn, by name.
SETS: dict[str, Callable[[], Iterator[Picture | Page]]] = {
    "encoder": encoder,
    "decoder": decoder,
    "encoder-decoder": encoder_decoder,
    "image": image,
    "reaction": lambda: _example("rxnmapper", "reaction-tokens"),
    "molecule": lambda: _example("annalog", "molecule-tokens"),
    "grammar": lambda: _example("quire", "grammar-tokens"),
    "sentence": lambda: _example("minilm", "sentence-tokens"),
}


def main(names: list[str]) -> None:
    """Draws the named sets, or all of them."""
    import torch

    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    with Shutter() as shutter:
        for name in names or [*SETS, "app"]:
            for picture in () if name == "app" else SETS[name]():
                for mode in STYLES:
                    path = OUT / f"{picture.name}-{mode}.png"
                    png = (
                        drawn(picture, mode) if isinstance(picture, Picture) else shutter.page(picture, mode)
                    )
                    write(path, png)
            if name == "app":
                for mode in STYLES:
                    write(OUT / f"app-{mode}.png", shutter.app(mode))


def drawn(picture: Picture, mode: str) -> bytes:
    """Returns a picture as PNG in one of the styles."""
    import matplotlib

    from attnflow.view.figure import written

    matplotlib.use("agg")
    with matplotlib.rc_context(STYLES[mode]):
        return written(picture.result, "png", picture.kind, **dict(picture.options))


class Shutter:
    """Chromium, which takes pictures of what it shows; started when first needed."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> Shutter:
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    @cached_property
    def _browser(self) -> Any:
        from playwright.sync_api import sync_playwright

        playwright = self._open.enter_context(sync_playwright())
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        self._open.callback(browser.close)
        return browser

    @cached_property
    def _server(self) -> str:
        """Address of a web app with the bundled models, in a process of its own."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        command = [
            sys.executable,
            "-c",
            "from attnflow.cli import main; main()",
            "serve",
            "--port",
            str(port),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._open.callback(process.wait)
        self._open.callback(process.terminate)
        address = f"http://127.0.0.1:{port}"
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"The web app ended with code {process.returncode}; it says why above.")
            try:
                urlopen(address, timeout=5).close()
                return address
            except OSError:
                time.sleep(0.2)

    def _visit(self, address: str, mode: str) -> Any:
        size = {"width": WIDTH, "height": 900}
        shown = self._browser.new_page(viewport=size, color_scheme=mode, reduced_motion="reduce")
        shown.goto(address)
        return shown

    def page(self, picture: Page, mode: str) -> bytes:
        """Returns the page of a result as PNG."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.html"
            picture.result.to_html(path)
            shown = self._visit(path.as_uri(), mode)
            shown.locator(".attnflow-view .panel.flow .picture").wait_for()
            for label, value in picture.choose:
                group = shown.get_by_role("group", name=label)
                if group.count():
                    group.get_by_role("radio", name=value, exact=True).first.check()
                else:
                    shown.get_by_role("combobox", name=label).select_option(value)
            png: bytes = self._shoot(shown)
        return png

    def app(self, mode: str) -> bytes:
        """Returns the web app with its form open and a result, as PNG."""
        shown = self._visit(self._server, mode)
        shown.get_by_label("Text").fill(REVIEW)
        shown.get_by_label("Score each of the").select_option("words")
        shown.get_by_role("button", name="Explain", exact=True).click()
        shown.locator(".attnflow-view .panel.flow .picture").wait_for(timeout=120_000)
        return self._shoot(shown)

    def _shoot(self, shown: Any) -> bytes:
        shown.mouse.move(0, 0)
        shown.wait_for_timeout(600)
        png: bytes = shown.screenshot(full_page=True)
        shown.close()
        return png


def write(path: Path, png: bytes) -> None:
    """Writes a PNG with 256 colours, chosen so that nothing changes visibly."""
    from PIL import Image

    from attnflow.files import write_whole

    dither = Image.Dither.FLOYDSTEINBERG if path.name.startswith("image") else Image.Dither.NONE
    # Screens are one large ground with thin marks, which keep their colours if the choice is wide; figures are shades.
    screen = path.name.startswith(("page", "app"))
    method = Image.Quantize.MAXCOVERAGE if screen else Image.Quantize.MEDIANCUT
    kmeans = 0 if screen else 3
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, method, kmeans=kmeans, dither=dither)
    stream = io.BytesIO()
    few.save(stream, "PNG", optimize=True)
    write_whole(path, stream.getvalue())
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
