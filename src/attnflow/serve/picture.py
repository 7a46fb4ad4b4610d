"""An uploaded file as a picture, if it is one of a size that can be held."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from attnflow.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def picture(data: bytes, pixels: int) -> Image:
    """Decodes a picture.

    Args:
        data: the file.
        pixels: the most that it may have; known before any of them is decoded.

    Returns:
        Its first frame, in RGB, upright.

    Raises:
        InputError: not a picture, a damaged one, or one too large.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise MissingExtraError("Pillow", "media") from error
    expected = f"expected a picture as {', '.join(_FORMATS)}"
    try:
        found = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"The file is no picture that can be read: {expected}.") from error
    if found.width * found.height > pixels:
        raise InputError(
            f"The picture has {found.width} x {found.height} pixels, this server takes up to {pixels:,}: shrink it."
        )
    try:
        upright: Image.Image = ImageOps.exif_transpose(found).convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"The picture is damaged: {expected}.") from error
    return upright
