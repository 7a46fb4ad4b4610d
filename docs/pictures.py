"""Draws every picture of the gallery again, from real models: `make gallery`.

    python docs/pictures.py                   # all
    python docs/pictures.py encoder decoder   # some models only

The models are those of `experiments/packaged` (`make realmodels` installs them) and the bundled one. Each picture is
written twice, for light and for dark pages, as a PNG with few colours. Pictures of the page need Chromium and
playwright.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
OUT = ROOT / "docs" / "pictures"

REVIEW = "The movie was not bad at all, the acting is brilliant."
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


def encoder() -> Iterator[Picture]:
    """A classifier of movie reviews."""
    import attnflow

    words = {"players": "words", "capacity": "relevance"}
    flow = attnflow.explain("sentiment", REVIEW, method="flow", **words)
    yield Picture("encoder-tokens", flow)
    yield Picture("encoder-flow", flow, "flow")
    yield Picture("encoder-bounds", attnflow.explain("sentiment", REVIEW, samples=512, **words), "bounds")
    signed = "Great actors, wasted on a dull and predictable story."
    yield Picture(
        "encoder-signed", attnflow.explain("sentiment", signed, method="flow", signed=True, **words)
    )
    both = attnflow.explain(
        "sentiment", REVIEW, method="flow", players="words", capacity=["attention", "relevance"]
    )
    yield Picture("encoder-comparison", both)


def decoder() -> Iterator[Picture]:
    """A language model that has to make a verb agree."""
    from experiments.packaged import load

    import attnflow

    gemma = load("gemma")
    text = "The keys to the cabinet"
    asked = {"tokenizer": gemma.tokenizer, "capacity": "relevance", "method": "flow", "bounds": False}
    agrees = attnflow.explain(gemma.model, text, output=(" are", " is"), **asked)
    yield Picture("decoder-tokens", agrees)
    yield Picture("decoder-flow", agrees, "flow")
    written = attnflow.explain(gemma.model, "Paris is the capital of", generate=6, **asked)
    yield Picture("decoder-matrix", written, "matrix")


def encoder_decoder() -> Iterator[Picture]:
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
        capacity="relevance",
        method="flow",
        bounds=False,
    )
    spoken = next(row for row, target in enumerate(heard.targets) if "ent" in (target.label or ""))
    yield Picture("speech-tokens", heard[spoken])
    yield Picture("speech-flow", heard[spoken], "flow", (("top", 24),))


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
SETS: dict[str, Callable[[], Iterator[Picture]]] = {
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
    for name in names or [*SETS, "page"]:
        if name == "page":
            screenshots()
            continue
        for picture in SETS[name]():
            for mode in STYLES:
                path = OUT / f"{picture.name}-{mode}.png"
                write(path, drawn(picture, mode))
                print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB", flush=True)


def drawn(picture: Picture, mode: str) -> bytes:
    """Returns a picture as PNG in one of the styles."""
    import matplotlib

    from attnflow.view.figure import written

    matplotlib.use("agg")
    with matplotlib.rc_context(STYLES[mode]):
        return written(picture.result, "png", picture.kind, **dict(picture.options))


def screenshots() -> None:
    """Takes pictures of the interactive page, of a flow and of a matrix."""
    from playwright.sync_api import sync_playwright

    import attnflow

    result = attnflow.explain("sentiment", REVIEW, players="words", capacity="relevance", method="flow")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "page.html"
        result.to_html(page)
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for mode in STYLES:
            view = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme=mode)
            view.goto(page.as_uri())
            view.wait_for_timeout(1500)
            write(OUT / f"page-{mode}.png", view.screenshot(full_page=True))
        browser.close()


def write(path: Path, png: bytes) -> None:
    """Writes a PNG with at most 256 colours, which these pictures do not exceed visibly."""
    from PIL import Image

    from attnflow.files import write_whole

    dither = Image.Dither.FLOYDSTEINBERG if path.name.startswith("image") else Image.Dither.NONE
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=dither)
    stream = io.BytesIO()
    few.save(stream, "PNG", optimize=True)
    write_whole(path, stream.getvalue())


if __name__ == "__main__":
    main(sys.argv[1:])
