"""Inputs that a tiny model can read: text, images, sound, or several of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch

LENGTH = 8
TARGET = 5


def examples(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Inputs worth trying, the richest first: the first that the model runs on is the one it is checked with."""
    from benchmarks.support.families import INPUTS

    kind = model.config.model_type
    takes = set(inspect.signature(model.forward).parameters)
    made = INPUTS.get(kind) or INPUTS.get(type(model).__name__)
    if made is not None:
        yield from made(model)
        return
    text = _text(model) if "input_ids" in takes else {}
    decoder = decoder_of(model) if "decoder_input_ids" in takes else {}
    main = getattr(model, "main_input_name", "input_ids")
    if "pixel_values" in takes:
        for pixels in pixels_of(model, takes):
            if text:
                yield from (("image and text", joint) for joint in _joint(model, pixels, text))
                if decoder:
                    yield "image and text", {**pixels, **text, **decoder}
            yield ("image to text" if decoder else "image"), {**pixels, **decoder}
    if "image" in takes and "pixel_values" not in takes:
        yield "image", {"image": noise(1, 3, *_size(model))}
    if "inputs_embeds" in takes and not text and "pixel_values" not in takes:
        yield "features", {"inputs_embeds": noise(1, LENGTH, int(getattr(model.config, "hidden_size", 64)))}
    if "grid_thw" in takes:
        first = next(iter(inspect.signature(model.forward).parameters))
        for patches, grid in _gridded(model.config):
            more = {"merge_sizes": torch.tensor([2])} if "merge_sizes" in takes else {}
            yield "image", {first: patches, "grid_thw": grid, **more}
    if "pixel_values_videos" in takes and main == "pixel_values_videos":
        for frames in (2, 4, 8, 16):
            yield "video", {"pixel_values_videos": noise(1, frames, 3, *_size(model))}
    if "input_features" in takes:
        for name in ("input_features_mask", "attention_mask", "feature_attention_mask"):
            for features in _features(model) if name in takes else ():
                for size in dict.fromkeys(features.shape[1:]):
                    masked = {"input_features": features, name: torch.ones(1, size, dtype=torch.long)}
                    yield ("speech to text" if decoder else "speech"), {**masked, **decoder}
        for features in _features(model):
            yield ("speech to text" if decoder else "speech"), {"input_features": features, **decoder}
            if text:
                yield "speech and text", {"input_features": features, **text}
    if "input_values" in takes:
        for size in (4000, 1600, 9600):
            yield "speech", {"input_values": noise(1, 1, size)}
            yield ("speech to text" if decoder else "speech"), {"input_values": noise(1, size), **decoder}
        for shape in _spectrograms(model):
            yield "speech", {"input_values": noise(1, *shape), **decoder}
    if text:
        yield "text", {**text, **decoder}
        yield "text", text
    if "past_values" in takes:
        yield from _series(model, takes)


def _series(model: Any, takes: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    config = model.config
    if "past_time_features" in takes:
        past = int(config.context_length) + max(config.lags_sequence)
        future = int(config.prediction_length)
        yield (
            "series",
            {
                "past_values": noise(1, past),
                "past_time_features": noise(1, past, config.num_time_features),
                "past_observed_mask": torch.ones(1, past),
                "future_values": noise(1, future),
                "future_time_features": noise(1, future, config.num_time_features),
            },
        )
        return
    size = int(getattr(config, "context_length", 32) or 32)
    yield "series", {"past_values": noise(1, size, int(getattr(config, "num_input_channels", 1)))}
    yield "series", {"past_values": noise(1, size)}


def ids(config: Any, count: int, start: int = 17) -> list[int]:
    """Ids of ordinary tokens: none that the configuration names."""
    named: set[int] = set()

    def visit(part: Any) -> None:
        for name, value in vars(part).items():
            if hasattr(value, "model_type"):
                visit(value)
            elif "token" in name or name.endswith("_id"):
                named.update(
                    v for v in (value if isinstance(value, (list, tuple)) else [value]) if type(v) is int
                )

    visit(config)
    size = vocabulary(config)
    free = [id for id in range(3, size) if id not in named]
    return [free[(start + 7 * index) % len(free)] for index in range(count)]


def vocabulary(config: Any) -> int:
    try:
        text = config.get_text_config()
    except (AttributeError, ValueError):  # several of them
        text = config
    sizes = [getattr(part, "vocab_size", None) for part in (text, config)]
    return min((size for size in sizes if isinstance(size, int) and size > 3), default=200)


def _text(model: Any) -> dict[str, Any]:
    takes = inspect.signature(model.forward).parameters
    more = {"bbox": _boxes()} if "bbox" in takes else {}
    return {**ids_of(model), **more}


def _boxes() -> torch.Tensor:
    """Where each word stands on a page: one row of words."""
    return torch.tensor([[[index, 1, index + 2, 3] for index in range(LENGTH)]])


def ids_of(model: Any) -> dict[str, Any]:
    found = ids(model.config, LENGTH)
    end = getattr(model.config, "eos_token_id", None)
    if type(model).__name__.endswith(("ForSequenceClassification", "ForQuestionAnswering")) and isinstance(
        end, int
    ):
        found[-1] = end
    return {"input_ids": torch.tensor([found])}


def decoder_of(model: Any) -> dict[str, Any]:
    config = model.config
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(config, "pad_token_id", None) or 0
    part = getattr(config, "decoder", None) or config
    rest = ids(part if hasattr(part, "model_type") else config, TARGET - 1, start=30)
    return {"decoder_input_ids": torch.tensor([[start if isinstance(start, int) else 0, *rest]])}


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*shape, generator=generator)


def vision_config(model: Any) -> Any:
    for name in ("vision_config", "encoder", "image_config", "vision_model_config", "perceptual_config"):
        part = getattr(model.config, name, None)
        if hasattr(part, "model_type"):
            return part
    return model.config


def _size(model: Any) -> tuple[int, int]:
    for part in (vision_config(model), model.config):
        size = getattr(part, "image_size", None) or getattr(part, "input_size", None)
        if isinstance(size, int):
            return size, size
        if isinstance(size, (list, tuple)) and len(size) == 2:
            return int(size[0]), int(size[1])
    return 32, 32


def pixels_of(model: Any, takes: set[str]) -> Iterator[dict[str, Any]]:
    part = vision_config(model)
    channels = (
        getattr(part, "num_channels", None)
        or getattr(part, "in_channels", None)
        or getattr(part, "in_chans", 3)
    )
    channels = channels if isinstance(channels, int) else 3
    if {"image_grid_thw", "image_grid_hws"} & takes:
        for patches, grid in _gridded(part):
            yield {"pixel_values": patches, "image_grid_thw": grid}
    sizes = [_size(model), (32, 32), (64, 64), (128, 128), (224, 224)]
    if "spatial_shapes" in takes:
        patch = int(getattr(part, "patch_size", 8))
        yield {
            "pixel_values": noise(1, 16, channels * patch * patch),
            "pixel_attention_mask": torch.ones(1, 16, dtype=torch.long),
            "spatial_shapes": torch.tensor([[4, 4]]),
        }
    if "pixel_position_ids" in takes:
        patch = int(getattr(part, "patch_size", 8))
        places = torch.tensor([[[row, column] for row in range(6) for column in range(6)]])
        yield {"pixel_values": noise(1, 36, channels * patch * patch), "pixel_position_ids": places}
    for height, width in dict.fromkeys(sizes):
        yield {"pixel_values": noise(1, channels, height, width)}
        more = {"image_sizes": torch.tensor([[height, width]])}
        if "image_sizes" in takes:
            yield {"pixel_values": noise(1, channels, height, width), **more}
            yield {"pixel_values": noise(1, 3, channels, height, width), **more}
    for frames in (2, 4, 8, 16):
        yield {"pixel_values": noise(1, frames, channels, *sizes[0])}
    yield {"pixel_values": noise(1, 1, channels, *sizes[0])}


def _gridded(part: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An image as a list of patches, flat or not, with the shape of their grid."""
    channels = getattr(part, "num_channels", None) or getattr(part, "in_channels", None) or 3
    patch = getattr(part, "patch_size", 8)
    patch = patch if isinstance(patch, int) else patch[0]
    temporal = int(getattr(part, "temporal_patch_size", 1) or 1)
    merge = getattr(part, "spatial_merge_size", getattr(part, "merge_size", 2)) or 1
    side = 2 * int(merge)
    grid = torch.tensor([[1, side, side]])
    for times in dict.fromkeys((temporal, 1, 2)):
        yield noise(side * side, channels * times * patch * patch), grid
    yield noise(side * side, channels, patch, patch), grid


def _joint(model: Any, pixels: dict[str, Any], text: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Text with as many image tokens in it as the image has features."""
    image = next(
        (
            value
            for name in (
                "image_token_id",
                "image_token_index",
                "media_placeholder_token_id",
                "im_patch_id",
                "image_patch_id",
            )
            if isinstance(value := getattr(model.config, name, None), int)
        ),
        None,
    )
    words = text["input_ids"][0].tolist()
    if image is None:
        yield {**pixels, **text}
        return
    get = getattr(model, "get_image_features", None) or getattr(model.base_model, "get_image_features", None)
    counts = []
    if get is not None:
        try:
            with torch.no_grad():
                found = get(**pixels)
            counts.append(_rows(found))
        except Exception:  # the family wants other images; the next candidate tries
            pass
    if not counts:
        counts = [4, 16, 1, 5]
    for count in counts:
        joint = torch.tensor([[*words[:3], *[image] * count, *words[3:]]])
        more = {}
        if "mm_token_type_ids" in inspect.signature(model.forward).parameters:
            more["mm_token_type_ids"] = (joint == image).long()
        if "token_type_ids" in inspect.signature(model.forward).parameters:
            yield {**pixels, "input_ids": joint, "token_type_ids": (joint == image).long()}
        yield {**pixels, "input_ids": joint, **more}


def _rows(found: Any) -> int:
    found = (
        getattr(found, "pooler_output", None) if getattr(found, "pooler_output", None) is not None else found
    )
    if isinstance(found, (list, tuple)) and len(found):
        return sum(_rows(part) for part in found)
    if not torch.is_tensor(found):
        found = found[0]
        return _rows(found)
    return int(found.reshape(-1, found.shape[-1]).shape[0])


def _audio_config(model: Any) -> Any:
    for name in ("audio_config", "asr_config", "audio_encoder", "encoder_config", "encoder"):
        part = getattr(model.config, name, None)
        if hasattr(part, "model_type"):
            return part
    return model.config


def _features(model: Any) -> Iterator[torch.Tensor]:
    part = _audio_config(model)
    found = (
        int(value)
        for name in ("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim", "input_dim",
                     "input_feat_size", "input_size", "feature_size", "n_mels")
        if isinstance(value := getattr(part, name, None), int)
    )  # fmt: skip
    bins = next(found, None)
    longest = getattr(part, "max_source_positions", None)
    frames = [2 * longest] if isinstance(longest, int) else []
    for width in (80, 128) if bins is None else (bins,):
        for count in (*frames, 64, 100, 3000):
            yield noise(1, width, count)
            yield noise(1, count, width)
            if "is_longer" in inspect.signature(model.forward).parameters:
                yield noise(1, 1, count, width)


def _spectrograms(model: Any) -> Iterator[tuple[int, ...]]:
    bins = getattr(model.config, "num_mel_bins", None)
    if isinstance(bins, int):
        yield (int(getattr(model.config, "max_length", 64) or 64), bins)
        yield (64, bins)
