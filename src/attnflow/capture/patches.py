"""Where the positions of a vision model stand in the picture.

The grid is read off the convolution that made the patches, and positions beside the grid are named only where the
model's own parts account for every one of them: a class token, registers, a distillation token, detection tokens.
Where they do not, positions get numbers and no places: a wrong place is worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from attnflow.capture.images import thumbnail
from attnflow.capture.stem import Convolution
from attnflow.media import Medium, patch_name
from attnflow.trace import Token


@dataclass(frozen=True)
class Look:
    """How an image processor normalised a picture: per channel, what was subtracted and divided by."""

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, processor: Any) -> Look:
        """Reads an image processor; empty without one, or if it does not normalise."""
        mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
        if getattr(processor, "do_normalize", True) is False:
            return cls((0.0,) * 3, (1.0,) * 3) if getattr(processor, "do_rescale", False) else cls()
        if mean is None or std is None:
            return cls()
        return cls(tuple(float(part) for part in mean), tuple(float(part) for part in std))


def grid_tokens(
    rows: int, columns: int, medium: int, time: tuple[float, float] | None = None, prefix: str = ""
) -> tuple[Token, ...]:
    """The patches of one grid, row by row."""
    return tuple(
        Token(f"{prefix}{patch_name(row, column)}", medium=medium, patch=(row, column), time=time)
        for row in range(rows)
        for column in range(columns)
    )


def special(name: str, count: int = 1, first: int = 1) -> tuple[Token, ...]:
    """Positions that a model adds: one by its name, several with numbers."""
    if count == 1 and first == 1:
        return (Token(name, special=True),)
    return tuple(Token(f"{name} {number}", special=True) for number in range(first, first + count))


def lay_patches(
    model: Any,
    convolutions: Sequence[Convolution],
    tensors: Mapping[str, Any],
    size: int,
    look: Look,
    order: Sequence[int] | None = None,
) -> tuple[tuple[Token, ...], tuple[Medium, ...]] | None:
    """Names the positions of a stack that reads a picture or a film.

    Args:
        model: the model that ran.
        convolutions: those of its pass.
        tensors: what it ran on.
        size: number of positions, padding included.
        look: how its pictures were normalised.
        order: for a model that shuffles its patches and drops some: which of them it kept, in its order.

    Returns:
        One token per position and the pictures they are parts of; None if the input is no picture. Positions that
        cannot be placed for certain get numbers.
    """
    pixels: Any = tensors.get("pixel_values")
    if not torch.is_tensor(pixels):
        return None
    shapes: Any = tensors.get("spatial_shapes")
    if torch.is_tensor(shapes) and pixels.ndim == 3:
        return _flattened(model, pixels[0], shapes[0], size, look)
    if pixels.ndim < 4:  # a row of patches, whose grid the input does not tell
        return tuple(Token(f"position {index}") for index in range(size)), ()
    for conv in reversed(convolutions):
        space = conv.after[2:]
        if len(space) < 2:
            continue
        frames, rows, columns = (1, *space) if len(space) == 2 else space
        count = frames * rows * columns
        beside = around(model, size - (count if order is None else len(order)))
        if beside is None or conv.after[0] != 1:
            continue
        media = _slices(pixels, conv, look)
        patches: tuple[Token, ...] = ()
        for frame, medium in enumerate(media):
            prefix = "" if len(media) == 1 else f"{medium.name} "
            patches += grid_tokens(rows, columns, frame, prefix=prefix)
        if order is not None:
            patches = tuple(patches[index] for index in order)
        return (*beside[0], *patches, *beside[1]), media
    merged = _merged(model, convolutions, size)
    if merged is not None:
        conv, grid = merged
        (medium,) = _slices(pixels, conv, look)
        return grid_tokens(*grid, 0), (replace(medium, grid=grid),)
    picture = pixels.reshape(-1, *pixels.shape[-3:])[0] if pixels.ndim >= 3 else None
    shown = None if picture is None else thumbnail(picture, look.mean, look.std)
    extent = None if picture is None else (int(picture.shape[1]), int(picture.shape[2]))
    return tuple(Token(f"position {index}") for index in range(size)), (
        Medium("image", "image", None, extent, shown),
    )


def _merged(
    model: Any, convolutions: Sequence[Convolution], size: int
) -> tuple[Convolution, tuple[int, int]] | None:
    """The grid of a Swin, which merges patches two by two from stage to stage, row by row as before."""
    if "swin" not in str(getattr(getattr(model.config, "encoder", model.config), "model_type", "")):
        return None
    for conv in convolutions:
        if len(conv.after) == 4:
            rows, columns = conv.after[2:]
            for factor in (2, 4, 8, 16):
                if rows % factor == columns % factor == 0 and rows * columns == size * factor**2:
                    return conv, (rows // factor, columns // factor)
    return None


def around(model: Any, extra: int) -> tuple[tuple[Token, ...], tuple[Token, ...]] | None:
    """Positions before and behind the patches, if the model's parts account for exactly so many."""
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_parameters()}
    config = getattr(model.config, "vision_config", None) or model.config
    front: tuple[Token, ...] = ()
    if names & {"cls_token", "class_embedding", "class_token"}:
        front += special("[CLS]")
    if "distillation_token" in names:
        front += special("[DIST]")
    registers = int(getattr(config, "num_register_tokens", 0) or 0)
    if registers and any("regist" in name for name in names):
        front += special("register", registers)
    behind: tuple[Token, ...] = ()
    if "detection_tokens" in names:
        behind = special("query", int(config.num_detection_tokens), first=0)
    if extra == len(front) + len(behind):
        return front, behind
    return ((), ()) if extra == 0 else None


def _slices(pixels: torch.Tensor, conv: Convolution, look: Look) -> tuple[Medium, ...]:
    """The picture under the grid, or one for each step of a film."""
    space = conv.after[2:]
    rows, columns = space[-2:]
    film = pixels.reshape(-1, *pixels.shape[-3:])
    if len(space) == 3 and pixels.ndim == 5 and pixels.shape[1] in (1, 3) and pixels.shape[2] not in (1, 3):
        film = pixels[0].transpose(0, 1)  # channels first, then time
    direct = tuple(conv.before[-2:]) == tuple(film.shape[-2:])
    height, width = (
        (rows * conv.stride[-2], columns * conv.stride[-1]) if direct else (film.shape[-2], film.shape[-1])
    )
    top, left = (
        (max(0, (kernel - stride) // 2 - pad) if direct else 0)
        for kernel, stride, pad in zip(conv.kernel[-2:], conv.stride[-2:], conv.padding[-2:])
    )
    frames = space[0] if len(space) == 3 else 1
    each = max(1, film.shape[0] // frames)
    media = []
    for frame in range(frames):
        shown = film[min(frame * each, film.shape[0] - 1), :, top : top + height, left : left + width]
        name = "image"
        if frames > 1:
            first, last = frame * each + 1, (frame + 1) * each
            name = f"frame {first}" if first == last else f"frames {first}-{last}"
        media.append(
            Medium(
                "image",
                name,
                (rows, columns),
                (int(shown.shape[1]), int(shown.shape[2])),
                thumbnail(shown, look.mean, look.std),
            )
        )
    return tuple(media)


def _flattened(
    model: Any, patches: torch.Tensor, shape: torch.Tensor, size: int, look: Look
) -> tuple[tuple[Token, ...], tuple[Medium, ...]]:
    """A picture that came as a list of patches `[patches, height * width * channels]`, padded at the end."""
    rows, columns = (int(side) for side in shape)
    side = math.isqrt(patches.shape[-1] // 3)
    picture = None
    if side * side * 3 == patches.shape[-1]:
        picture = patches[: rows * columns].reshape(rows, columns, side, side, 3)
        picture = picture.permute(4, 0, 2, 1, 3).reshape(3, rows * side, columns * side)
    medium = Medium(
        "image",
        "image",
        (rows, columns),
        None if picture is None else (rows * side, columns * side),
        None if picture is None else thumbnail(picture, look.mean, look.std),
    )
    padding = tuple(Token("padding", special=True) for _ in range(size - rows * columns))
    return (*grid_tokens(rows, columns, 0), *padding), (medium,)
