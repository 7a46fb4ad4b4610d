"""Pictures and sound within a text: which positions of the text are parts of them, and which parts.

A language model that sees gets its pictures as runs of one placeholder token, each replaced by what the vision tower
made of a part of the picture. Where a family lays the parts out as a grid, rules below say so: each was checked by
changing one part and seeing which position changes. Where parts are no places (queries that look at the whole
picture), or the rules do not account for every position, positions get numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from attnflow.capture.frames import Ruler, clip_of, frame_times
from attnflow.capture.images import thumbnail
from attnflow.capture.patches import Look, grid_tokens
from attnflow.capture.stem import Convolution
from attnflow.media import Medium, time_name
from attnflow.trace import Token

#: Families whose placeholders per tile are a square, row by row, behind a projector that looks at one place at a time.
_SQUARE = {"gemma3", "idefics3", "internvl", "llava", "paligemma"}

Laid = tuple[list[Token], list[Medium]]


@dataclass(frozen=True, eq=False)
class Inset:
    """The placeholders of one sense in a text.

    Attributes:
        runs: positions of each run of neighbours.
        tensors: what the model ran on.
        config: of the model.
        look: how pictures were normalised.
    """

    runs: tuple[tuple[int, ...], ...]
    tensors: Mapping[str, Any]
    config: Any
    look: Look

    @property
    def count(self) -> int:
        """Number of placeholders."""
        return sum(len(run) for run in self.runs)


def placeholder_ids(model: Any, sense: str) -> set[int]:
    """Ids that stand for parts of pictures ("image") or sound ("audio")."""
    names = {"image": ("image", "video"), "audio": ("audio", "speech")}[sense]
    config = getattr(model, "config", None)
    found = {getattr(config, f"{name}_token_{suffix}", None) for name in names for suffix in ("id", "index")}
    return {int(id) for id in found if isinstance(id, int)}


def lay_placeholders(
    model: Any,
    tokens: Sequence[Token],
    tensors: Mapping[str, Any],
    look: Look,
    ruler: Ruler,
    convolutions: Sequence[Convolution],
) -> tuple[tuple[Token, ...], tuple[Medium, ...]]:
    """Names the positions of a text that are parts of pictures and sound.

    Args:
        model: the model that ran.
        tokens: one per position, with ids.
        tensors: what it ran on.
        look: how its pictures were normalised.
        ruler: how its sound lies in time.
        convolutions: those of the pass.

    Returns:
        The tokens, those that are placeholders placed where that is known for certain; and the media.
    """
    laid, media = list(tokens), list[Medium]()
    seen = _runs(tokens, placeholder_ids(model, "image"))
    if seen and any(name in tensors for name in ("pixel_values", "pixel_values_videos")):
        inset = Inset(seen, tensors, model.config, look)
        parts, pictures = next(
            (made for rule in _RULES if (made := rule(inset)) is not None), _unplaced(inset)
        )
        _put(laid, [position for run in seen for position in run], parts, len(media))
        media += pictures
    heard = _runs(tokens, placeholder_ids(model, "audio"))
    sound: Any = next((tensors[name] for name in ("input_features", "input_values") if name in tensors), None)
    if heard and torch.is_tensor(sound):
        times = (
            frame_times(convolutions, sound, ruler, sum(len(run) for run in heard))
            if len(heard) == 1
            else None
        )
        places = [position for run in heard for position in run]
        stretches: list[tuple[float, float] | None] = [*times] if times else [None] * len(places)
        _put(
            laid,
            places,
            [
                Token(f"audio {index}" if time is None else time_name(*time), medium=0, time=time)
                for index, time in enumerate(stretches)
            ],
            len(media),
        )
        media.append(clip_of(sound, ruler))
    return tuple(laid), tuple(media)


def _put(laid: list[Token], positions: Sequence[int], parts: Sequence[Token], first: int) -> None:
    for position, part in zip(positions, parts, strict=True):
        medium = None if part.medium is None else part.medium + first
        laid[position] = replace(part, id=laid[position].id, medium=medium)


def _runs(tokens: Sequence[Token], ids: set[int]) -> tuple[tuple[int, ...], ...]:
    runs: list[list[int]] = []
    for position, token in enumerate(tokens):
        if token.id not in ids or token.generated:
            continue
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return tuple(tuple(run) for run in runs)


def _name(number: int, count: int) -> str:
    return "image" if count == 1 else f"image {number + 1}"


def _prefix(name: str) -> str:
    return "" if name == "image" else f"{name} "


# -- rules: each returns None where it does not apply ---------------------------------------------------------


def _by_grid(inset: Inset) -> Laid | None:
    """Qwen-VL and kin: pictures of any size as a flat list of patches, merged in squares; films frame by frame."""
    grids: Any = inset.tensors.get("image_grid_thw", inset.tensors.get("video_grid_thw"))
    vision = getattr(inset.config, "vision_config", None)
    merge = getattr(vision, "spatial_merge_size", None) or getattr(vision, "merge_size", None)
    if not torch.is_tensor(grids) or not isinstance(merge, int):
        return None
    if "image_grid_thw" in inset.tensors and "video_grid_thw" in inset.tensors:
        return None
    shapes = [tuple(int(side) for side in grid) for grid in grids]
    if sum(t * h * w for t, h, w in shapes) != inset.count * merge**2:
        return None
    flat: Any = inset.tensors.get("pixel_values", inset.tensors.get("pixel_values_videos"))
    tokens, media, start = list[Token](), list[Medium](), 0
    total = sum(t for t, _, _ in shapes)
    for frames, height, width in shapes:
        rows, columns = height // merge, width // merge
        for _ in range(frames):
            name = _name(len(media), total)
            patches = flat[start : start + height * width]
            start += height * width
            tokens += grid_tokens(rows, columns, len(media), prefix=_prefix(name))
            media.append(_merged(name, patches, (rows, columns), merge, vision, inset.look))
    return tokens, media


def _merged(
    name: str, patches: torch.Tensor, grid: tuple[int, int], merge: int, vision: Any, look: Look
) -> Medium:
    rows, columns = grid
    side = int(getattr(vision, "patch_size", 0) or 0)
    depth = patches.shape[-1] // max(1, 3 * side**2)
    if side == 0 or depth * 3 * side**2 != patches.shape[-1]:
        return Medium("image", name, grid)
    picture = patches.reshape(rows, columns, merge, merge, 3, depth, side, side)[:, :, :, :, :, 0]
    picture = picture.permute(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * merge * side, columns * merge * side)
    size = (int(picture.shape[1]), int(picture.shape[2]))
    return Medium("image", name, grid, size, thumbnail(picture, look.mean, look.std))


def _by_tile(inset: Inset) -> Laid | None:
    """Squares: as many placeholders for every tile, each an equal part of it."""
    pixels: Any = inset.tensors.get("pixel_values")
    kind = inset.config.model_type
    if (
        kind not in _SQUARE
        or not torch.is_tensor(pixels)
        or "pixtral" in str(getattr(getattr(inset.config, "vision_config", None), "model_type", ""))
    ):
        return None
    tiles = pixels.reshape(-1, *pixels.shape[-3:])
    each, rest = divmod(inset.count, tiles.shape[0])
    side = math.isqrt(each)
    if rest or side**2 != each or any(len(run) % each for run in inset.runs):
        return None
    tokens, media = list[Token](), list[Medium]()
    for number, tile in enumerate(tiles):
        name = _name(number, tiles.shape[0])
        tokens += grid_tokens(side, side, number, prefix=_prefix(name))
        media.append(_whole(name, tile, (side, side), inset.look))
    return tokens, media


def _by_row(inset: Inset) -> Laid | None:
    """Pixtral and kin: each row of a picture is a run, with a break token behind it."""
    vision: Any = getattr(inset.config, "vision_config", None)
    sizes: Any = inset.tensors.get("image_sizes")
    pixels: Any = inset.tensors.get("pixel_values")
    if (
        getattr(vision, "model_type", "") != "pixtral"
        or not torch.is_tensor(sizes)
        or not torch.is_tensor(pixels)
    ):
        return None
    step = int(vision.patch_size) * int(getattr(inset.config, "spatial_merge_size", 1) or 1)
    grids = [(int(height) // step, int(width) // step) for height, width in sizes]
    if [len(run) for run in inset.runs] != [columns for rows, columns in grids for _ in range(rows)]:
        return None
    tokens, media = list[Token](), list[Medium]()
    for number, (rows, columns) in enumerate(grids):
        name = _name(number, len(grids))
        tokens += grid_tokens(rows, columns, number, prefix=_prefix(name))
        shown = pixels[number, :, : rows * step, : columns * step]
        media.append(_whole(name, shown, (rows, columns), inset.look))
    return tokens, media


def _by_resolution(inset: Inset) -> Laid | None:
    """LLaVA-NeXT: a picture as an overview, then as tiles joined into one grid whose rows end with a line break."""
    sizes: Any = inset.tensors.get("image_sizes")
    pixels: Any = inset.tensors.get("pixel_values")
    if inset.config.model_type != "llava_next" or not torch.is_tensor(sizes) or not torch.is_tensor(pixels):
        return None
    from transformers.models.llava_next import modeling_llava_next as family

    vision = inset.config.vision_config
    side = int(vision.image_size) // int(vision.patch_size)
    tokens, media = list[Token](), list[Medium]()
    for number, size in enumerate(sizes.tolist()):
        shape = family.get_anyres_image_grid_shape(
            size, inset.config.image_grid_pinpoints, int(vision.image_size)
        )
        kept = family.unpad_image(torch.ones(1, shape[0] * side, shape[1] * side), size)[0]
        rows, columns = kept.shape
        name = _name(number, len(sizes))
        tokens += grid_tokens(side, side, len(media), prefix=f"{_prefix(name)}overview ")
        media.append(_whole(f"{name} overview", pixels[number][0], (side, side), inset.look))
        for row in range(rows):
            tokens += grid_tokens(rows, columns, len(media), prefix=_prefix(name))[
                row * columns : (row + 1) * columns
            ]
            tokens.append(Token("line break", special=True))
        media.append(
            _joined(name, pixels[number][1:], shape, (rows, columns), int(vision.patch_size), inset.look)
        )
    return (tokens, media) if len(tokens) == inset.count else None


def _joined(
    name: str, tiles: torch.Tensor, shape: tuple[int, int], grid: tuple[int, int], patch: int, look: Look
) -> Medium:
    down, across = shape
    if tiles.shape[0] < down * across:
        return Medium("image", name, grid)
    height, width = tiles.shape[-2:]
    picture = tiles[: down * across].reshape(down, across, 3, height, width).permute(2, 0, 3, 1, 4)
    picture = picture.reshape(3, down * height, across * width)
    top, left = (picture.shape[1] - grid[0] * patch) // 2, (picture.shape[2] - grid[1] * patch) // 2
    return _whole(name, picture[:, top : top + grid[0] * patch, left : left + grid[1] * patch], grid, look)


def _whole(name: str, picture: torch.Tensor, grid: tuple[int, int] | None, look: Look) -> Medium:
    size = (int(picture.shape[-2]), int(picture.shape[-1]))
    return Medium("image", name, grid, size, thumbnail(picture, look.mean, look.std))


def _unplaced(inset: Inset) -> Laid:
    """Parts by number, and the pictures beside them."""
    pixels: Any = inset.tensors.get("pixel_values")
    pictures = []
    if torch.is_tensor(pixels) and pixels.ndim >= 4:
        tiles = pixels.reshape(-1, *pixels.shape[-3:])
        if tiles.shape[0] == len(inset.runs):
            pictures = [_whole(_name(n, len(tiles)), tile, None, inset.look) for n, tile in enumerate(tiles)]
    if not pictures:
        pictures = [Medium("image", _name(n, len(inset.runs))) for n in range(len(inset.runs))]
    return [
        Token(f"{pictures[number].name} part {index}", medium=number)
        for number, run in enumerate(inset.runs)
        for index in range(len(run))
    ], pictures


_RULES: tuple[Callable[[Inset], Laid | None], ...] = (_by_grid, _by_row, _by_resolution, _by_tile)
