"""Pictures of which it is known where the object is.

*Composites*: a drawing (Noto's emoji: an animal, vehicle, plant, food or thing) in random size and place on a piece of
photographed texture (brick, grass or gravel of scikit-image, tinted at random): the drawing's opaque pixels are the
object, exactly. *Photographs*: three of scikit-image and scikit-learn, whose objects are redder, brighter or darker
than the rest; Otsu's threshold makes the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from experiments.packaged.debian import unpacked

#: Pixels of a side, and of a patch's.
SIZE, PATCH = 112, 14
GRID = SIZE // PATCH
DRAWINGS = "🐘🚗🍎🐕🦆🚲🌵🐢🐈🐎🐄🐖🐓🦋🐟🦉🚌🚜🚂🍌🍓🥕🌻🍄🎸🎈👟🎩🔑☂"  # fmt: skip
TEXTURES = ("brick", "grass", "gravel")


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and where its object is.

    Attributes:
        name: unique.
        pixels: uint8 `[SIZE, SIZE, 3]`.
        mask: bool `[SIZE, SIZE]`, the object's pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    @property
    def patches(self) -> NDArray[np.bool_]:
        """Which patches the object covers at least half of, row by row."""
        return covered(self.mask, PATCH).ravel()


def covered(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Which squares of a mask are true in at least half of their pixels, `[rows, columns]`."""
    rows, columns = mask.shape[0] // side, mask.shape[1] // side
    found: NDArray[np.bool_] = mask.reshape(rows, side, columns, side).mean((1, 3)) >= 0.5
    return found


def names(count: int) -> list[str]:
    """So many composites: drawings in turn, every round on other ground."""
    return [f"{DRAWINGS[n % len(DRAWINGS)]} {n // len(DRAWINGS)}" for n in range(count)]


def composite(name: str, seed: int) -> Picture:
    """A drawing on a texture."""
    from skimage import data

    rng = np.random.default_rng([seed, *name.encode()])
    ground = getattr(data, str(rng.choice(TEXTURES)))()
    top, left = (int(rng.integers(0, length - SIZE + 1)) for length in ground.shape)
    pixels = np.repeat(ground[top : top + SIZE, left : left + SIZE, None], 3, axis=2).astype(float)
    side = int(rng.integers(50, 78))
    drawing = np.asarray(_drawn(name[0]).resize((side, side), Image.Resampling.LANCZOS), dtype=float)
    row, column = (int(rng.integers(0, SIZE - side + 1)) for _ in range(2))
    opacity = np.zeros((SIZE, SIZE, 1))
    opacity[row : row + side, column : column + side] = drawing[..., 3:] / 255
    colours = np.zeros((SIZE, SIZE, 3))
    colours[row : row + side, column : column + side] = drawing[..., :3]
    mixed = opacity * colours + (1 - opacity) * pixels
    return Picture(name, mixed.round().astype(np.uint8), opacity[..., 0] > 0.5)


def _drawn(letter: str) -> Image.Image:
    root = unpacked("fonts-noto-color-emoji")
    font = ImageFont.truetype(root / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", 109)  # its one size
    canvas = Image.new("RGBA", (136, 128))
    ImageDraw.Draw(canvas).text((0, 0), letter, font=font, embedded_color=True)
    return canvas.crop(canvas.getbbox())


def photograph(name: str) -> Picture:
    """One of `PHOTOGRAPHS`, its middle square made small."""
    pixels, measured = PHOTOGRAPHS[name]()
    from skimage.filters import threshold_otsu

    mask = measured > threshold_otsu(measured)
    side = min(mask.shape)
    top, left = ((length - side) // 2 for length in mask.shape)
    square = (slice(top, top + side), slice(left, left + side))
    small = Image.fromarray(pixels[square]).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    shrunk = Image.fromarray(mask[square].astype(np.float32)).resize((SIZE, SIZE), Image.Resampling.BOX)
    return Picture(name, np.asarray(small), np.asarray(shrunk) > 0.5)


Measured = tuple[NDArray[np.uint8], NDArray[np.floating]]


def _flower() -> Measured:
    """Redness: red less green."""
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image("flower.jpg")
    return pixels, pixels[..., 0].astype(float) - pixels[..., 1]


def _coins() -> Measured:
    """Brightness, less that of the surroundings: the light falls from one side."""
    from skimage.data import coins
    from skimage.filters import gaussian

    brightness = coins().astype(float)
    return np.repeat(coins()[..., None], 3, axis=2), brightness - gaussian(brightness, 40)


def _horse() -> Measured:
    """Darkness, of a silhouette."""
    from skimage.data import horse

    silhouette = horse()
    return np.repeat((silhouette * np.uint8(255))[..., None], 3, axis=2), 1.0 - silhouette


PHOTOGRAPHS: dict[str, Callable[[], Measured]] = {
    "flower": _flower,
    "coins": _coins,
    "horse": _horse,
}
