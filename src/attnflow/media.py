"""Images and sound: what positions that are no text are parts of, and how they are named.

A `Medium` is one picture or one clip that a model was given. Tokens point to it by its index in `Trace.media`
(players in `Attribution.media`) and say which part of it they are: a patch by row and column of the grid, a
frame by its stretch of time. Everything counts from 0: row 0, column 0 is the top left patch.

A picture that the model reads as several grids (an overview and its enlarged parts, the frames of a video) is
several media, one for each grid.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import InputError

Cell = tuple[int, int]
Time = tuple[float, float]

#: Longest side of a stored thumbnail in pixels, and most bins of a stored envelope.
THUMBNAIL = 224
ENVELOPE = 512

_CHANNELS = {3: 2}  # bytes per pixel -> colour type of a PNG


@dataclass(frozen=True, eq=False)
class Medium:
    """A picture or clip that positions are parts of.

    Attributes:
        kind: "image" or "audio".
        name: what a reader calls it: "image", "image 2", "frame 3", "audio".
        grid: `(rows, columns)` of the patches, or None without a grid. The grid covers the thumbnail exactly:
            row r of R spans the heights from r/R to (r+1)/R of it. Over a spectrogram rows are bands of
            frequency, the lowest first, and columns are time.
        size: `(height, width)` in pixels of what the grid covers, as the model saw it: after resizing,
            cropping and padding.
        thumbnail: uint8 `[height, width, 3]`, red, green, blue, no side above 224: what the grid covers, scaled down.
            None where it is not known.
        duration: seconds of the clip without padding; None for a still image.
        envelope: float32 `[bins]`, at most 512, from 0 to 1: the largest amplitude (of a spectrogram: the mean
            energy) within equal parts of the duration, as a fraction of the largest of all. None where unknown.
    """

    kind: Literal["image", "audio"]
    name: str = "image"
    grid: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    thumbnail: NDArray[np.uint8] | None = field(default=None, repr=False)
    duration: float | None = None
    envelope: NDArray[np.float32] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("image", "audio"):
            raise InputError(f"A medium of kind {self.kind!r}: expected 'image' or 'audio'.")
        for name in ("grid", "size"):
            pair = getattr(self, name)
            if pair is not None and (len(pair) != 2 or min(pair) < 1):
                raise InputError(f"{self.name}: {name} is {pair}, expected two numbers from 1 up.")
        shown, heard = self.thumbnail, self.envelope
        if shown is not None and (shown.dtype != np.uint8 or shown.ndim != 3 or shown.shape[2] != 3):
            raise InputError(
                f"{self.name}: the thumbnail has shape {list(shown.shape)} and dtype {shown.dtype}, expected uint8 "
                "[height, width, 3]."
            )
        if heard is not None and (heard.ndim != 1 or not np.isfinite(heard).all()):
            raise InputError(f"{self.name}: the envelope must be finite numbers [bins].")
        if self.duration is not None and not (np.isfinite(self.duration) and self.duration >= 0):
            raise InputError(f"{self.name}: a duration of {self.duration} seconds.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Medium):
            return NotImplemented
        mine, others = vars(self), vars(other)
        return all(
            np.array_equal(mine[name], others[name])
            if isinstance(mine[name], np.ndarray) and isinstance(others[name], np.ndarray)
            else mine[name] is others[name] or mine[name] == others[name]
            for name in mine
        )

    __hash__ = None  # type: ignore[assignment]

    def png(self) -> bytes | None:
        """The thumbnail as the bytes of a PNG file; None without one."""
        if self.thumbnail is None:
            return None
        height, width, depth = self.thumbnail.shape
        rows = np.zeros((height, 1 + width * depth), dtype=np.uint8)  # a filter byte, 0, before each row
        rows[:, 1:] = self.thumbnail.reshape(height, -1)
        head = struct.pack(">IIBBBBB", width, height, 8, _CHANNELS[depth], 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
        )


def check_places(media: Sequence[Medium], tokens: Iterable[Any]) -> None:
    """Checks that tokens name media that exist, and patches within their grids.

    Raises:
        InputError: they do not.
    """
    for token in tokens:
        if token.medium is None:
            if token.patch is not None:
                raise InputError(
                    f"Token {token.text!r} is a patch of no medium: expected an index into media."
                )
            continue
        if not 0 <= token.medium < len(media):
            raise InputError(f"Token {token.text!r} is of medium {token.medium}, and there are {len(media)}.")
        grid = media[token.medium].grid
        if token.patch is None:
            continue
        if grid is None or not (0 <= token.patch[0] < grid[0] and 0 <= token.patch[1] < grid[1]):
            raise InputError(
                f"Token {token.text!r} is the patch {token.patch}, outside of the grid {grid} of "
                f"{media[token.medium].name}."
            )


def is_medium(value: object) -> bool:
    """Whether a value can only be a picture or a clip: an array, a PIL image, a path object, samples with their rate.

    A string is text, though it may name a file where a model reads no text.
    """
    if isinstance(value, tuple) and len(value) == 2:
        return hasattr(value[0], "shape") and isinstance(value[1], (int, float, np.number))
    if isinstance(value, Mapping):
        return "array" in value and "sampling_rate" in value
    own = type(value).__module__.split(".")[0] == "PIL"
    return own or isinstance(value, os.PathLike) or (hasattr(value, "shape") and hasattr(value, "dtype"))


# -- names -----------------------------------------------------------------------------------------------


def patch_name(row: int, column: int) -> str:
    """What a patch is called: "patch 3,7" is the eighth of the fourth row."""
    return f"patch {row},{column}"


def patches_name(cells: Sequence[Cell]) -> str:
    """What several patches are called: "patches 0,0 to 3,3" for a rectangle (its corners), else their number."""
    if len(cells) == 1:
        return patch_name(*cells[0])
    rows, columns = zip(*cells)
    top, left, bottom, right = min(rows), min(columns), max(rows), max(columns)
    if len(set(cells)) == len(cells) == (bottom - top + 1) * (right - left + 1):
        return f"patches {top},{left} to {bottom},{right}"
    return f"{len(cells)} patches around {round(sum(rows) / len(cells))},{round(sum(columns) / len(cells))}"


def time_name(start: float, end: float) -> str:
    """What a stretch of time is called: "0.42-0.44 s", with more digits below 5 ms."""
    digits = 2 if end - start > 0.0049 else 4
    return f"{start:.{digits}f}-{end:.{digits}f} s"


def joined(times: Sequence[Time]) -> Time | None:
    """The stretch that several make together; None if they leave gaps."""
    ordered = sorted(times)
    reach = ordered[0][1]
    for start, end in ordered[1:]:
        if start > reach + 1e-6:
            return None
        reach = max(reach, end)
    return ordered[0][0], reach
