"""Pictures: read from what the caller has, and kept small for drawing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.errors import InputError, MissingExtraError
from attnflow.media import THUMBNAIL


def read_image(image: Any) -> Any:
    """Reads one picture.

    Args:
        image: a PIL image, the path of an image file, or an array `[height, width]`, `[height, width, 3]` or
            `[height, width, 4]`, uint8 from 0 to 255 or floating from 0 to 1.

    Returns:
        A PIL image in RGB, turned the way its camera says.

    Raises:
        InputError: none of these, or a file that is no image.
        MissingExtraError: pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow", "media") from error
    if isinstance(image, (str, os.PathLike)):
        place = os.fspath(image)
        if not Path(place).is_file():
            raise InputError(f"image: there is no file {place!r}.")
        try:
            with Image.open(place) as found:
                found.load()
                image = found
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(
                f"image: {place!r} is no image file that pillow can read: {_reason(error)}."
            ) from error
    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image).convert("RGB")
    if torch.is_tensor(image):
        image = image.detach().cpu().numpy()
    if isinstance(image, np.ndarray):
        return Image.fromarray(_as_bytes(image)).convert("RGB")
    raise InputError(
        f"image: expected a PIL image, a path, or an array [height, width, 3], found {type(image).__name__}."
    )


def read_images(image: Any) -> list[Any]:
    """Reads one picture, or several in a list or tuple. See `read_image`."""
    several = isinstance(image, (list, tuple))
    if several and not image:
        raise InputError("image: an empty list, expected at least one picture.")
    return [read_image(item) for item in (image if several else [image])]


def _as_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    shape = list(image.shape)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or 0 in image.shape:
        raise InputError(
            f"image: found an array of shape {shape}, expected [height, width], [height, width, 3] or [height, width, "
            "4]; tensors that are preprocessed already go into inputs={'pixel_values': ...}."
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * 255
    if image.dtype.kind == "f" and np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1:
        return np.round(image * 255).astype(np.uint8)
    raise InputError(
        f"image: found {image.dtype} from {np.nanmin(image):.3g} to {np.nanmax(image):.3g}, expected uint8 from 0 to "
        "255 or floating from 0 to 1."
    )


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def thumbnail(
    pixels: torch.Tensor, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> NDArray[np.uint8] | None:
    """A small picture of what a model saw.

    Args:
        pixels: `[channels, height, width]`, normalised as the model wants it.
        mean: per channel, what was subtracted; None: unknown, the values' own range is spread instead.
        std: per channel, what was divided by.

    Returns:
        uint8 `[height, width, 3]`, no side above `THUMBNAIL`; None unless there are 1 or 3 channels.
    """
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        return None
    shown = pixels.detach().float().cpu()
    if mean is not None and std is not None and len(mean) == len(std) == shown.shape[0]:
        shown = shown * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]
    else:
        low, high = shown.min(), shown.max()
        shown = (shown - low) / (high - low).clamp(min=1e-12)
    longest = max(shown.shape[1:])
    if longest > THUMBNAIL:
        size = [max(1, round(side * THUMBNAIL / longest)) for side in shown.shape[1:]]
        shown = torch.nn.functional.interpolate(shown[None], size=size, mode="area")[0]
    found: NDArray[np.uint8] = (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return np.repeat(found, 3, axis=2) if found.shape[2] == 1 else np.ascontiguousarray(found)
