"""Inputs of families that no rule in `examples` fits, declared by model type or class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.support.examples import decoder_of, ids, ids_of, noise, pixels_of


def _masked_patches(model: Any) -> Any:
    """A masked autoencoder's image, with the order in which it masks."""
    config = model.config
    count = (config.image_size // config.patch_size) ** 2
    pixels = torch.randn(
        1, 3, config.image_size, config.image_size, generator=torch.Generator().manual_seed(3)
    )
    yield "image", {"pixel_values": pixels, "noise": torch.linspace(0, 1, count)[None]}


def _only_text(model: Any) -> Any:
    """Text, for families whose images take a tokenizer of their own."""
    yield "text", ids_of(model)


def _asked_twice(model: Any) -> Any:
    """An image, a text with places for it, and the same question to what reads the image."""
    words = ids(model.config, 6)
    count = int(model.config.num_query_tokens)
    for pixels in pixels_of(model, {"pixel_values"}):
        yield (
            "image and text",
            {
                **pixels,
                "input_ids": torch.tensor([[*[model.config.image_token_index] * count, *words]]),
                "qformer_input_ids": torch.tensor([words]),
            },
        )


def _with_objects(model: Any) -> Any:
    """Words and the features of three objects."""
    features = noise(1, 3, int(model.config.visual_feat_dim))
    yield "objects and text", {**ids_of(model), "visual_feats": features, "visual_pos": torch.rand(1, 3, 4)}


def _codebooks(model: Any) -> Any:
    """Text, and sound in several codebooks."""
    count = int(model.config.decoder_config.num_channels)
    yield "text to speech", {**ids_of(model), "decoder_input_ids": torch.full((1, 5, count), 3)}


def _two_images(model: Any) -> Any:
    """A picture and the same place seen again."""
    for channels in (3, 1):
        yield "two images", {"pixel_values": noise(1, 2, channels, 64, 64).abs()}


def _prompted(model: Any) -> Any:
    """A picture, and another with its answer to go by."""
    config = model.config
    size = (config.image_size[0] // 2, config.image_size[1])
    names = ("pixel_values", "prompt_pixel_values", "prompt_masks")
    yield "three images", {name: noise(1, 3, *size) for name in names}


def _patches(model: Any) -> Any:
    """A picture as a row of patches, each behind its row and column."""
    config = model.config.vision_config
    places = torch.tensor([[row, column] for row in range(1, 4) for column in range(1, 5)])
    pieces = noise(12, int(config.patch_embed_hidden_size))
    joint = torch.cat([places.float(), pieces], dim=1)[None]
    yield (
        "image to text",
        {"flattened_patches": joint, "attention_mask": torch.ones(1, 12), **decoder_of(model)},
    )


def _long_patches(model: Any) -> Any:
    """A picture whose patches lie side by side in one long strip."""
    patch = int(model.config.patch_size)
    yield "image", {"pixel_values": noise(1, 3, patch, 16 * patch), "target_sizes": torch.tensor([[4, 4]])}


def _pixel_patches(model: Any) -> Any:
    """A picture as groups of patches, channels last."""
    config = model.config
    side = int(config.patch_size) * int(config.spatial_merge_size)
    yield (
        "image",
        {"pixel_values": noise(4, side, side, 3), "image_grid_thw": torch.tensor([[1, 2, 2]])},
    )


def _place_mask(model: Any) -> Any:
    """An image, and a text with a mask that says where it stands."""
    count = int(model.config.latent_query_num)
    words = ids(model.config, count + 6)
    mask = torch.zeros(1, count + 6, dtype=torch.long)
    mask[:, 1 : 1 + count] = 1
    size = int(model.config.vision_config.image_size)
    yield (
        "image and text",
        {
            "pixel_values": noise(1, 3, size, size),
            "input_ids": torch.tensor([words]),
            "image_embeds_position_mask": mask,
        },
    )


def _seen_by_words(model: Any) -> Any:
    """An image, and a text of which every word may look at it."""
    size = int(model.config.vision_config.image_size)
    text = ids_of(model)
    mask = torch.ones(1, text["input_ids"].shape[1], 1, dtype=torch.long)
    pixels = noise(1, 1, 3, size, size)
    yield "image and text", {**text, "pixel_values": pixels, "image_attention_mask": mask}


def _asked_of_video(model: Any) -> Any:
    """A video, a text with places for it, and the same question to what reads the video."""
    config = model.config
    words = ids(config, 6)
    size = int(config.vision_config.image_size)
    count = int(config.num_query_tokens)
    yield (
        "video and text",
        {
            "pixel_values": noise(1, 2, 3, size, size),
            "input_ids": torch.tensor([[*[config.video_token_index] * (2 * count), *words]]),
            "qformer_input_ids": torch.tensor([words]),
        },
    )


def _with_task(model: Any) -> Any:
    """An image, and the name of what to do with it."""
    task = torch.tensor([ids(model.config, int(model.config.task_seq_len))])
    yield "image and task", {"pixel_values": noise(1, 3, 64, 64), "task_inputs": task}


def _with_classes(model: Any) -> Any:
    """An image, names of classes to find, and what to do."""
    size = int(model.config.image_size)
    words = torch.tensor([ids(model.config, 4), ids(model.config, 4, start=30)])
    yield (
        "image and text",
        {
            "pixel_values": noise(1, 3, size, size),
            "classes_input_ids": words,
            "classes_attention_mask": torch.ones_like(words),
            "tasks_input_ids": words[:1],
            "tasks_attention_mask": torch.ones_like(words[:1]),
            "classes_structure": torch.tensor([2]),
        },
    )


def _robot(model: Any) -> Any:
    """What a robot sees, is told and feels, and noise to make actions of."""
    config = model.config
    image = config.vlm_config.image_token_index
    count = (config.vlm_config.vision_config.image_size // config.vlm_config.vision_config.patch_size) ** 2
    size = int(config.vlm_config.vision_config.image_size)
    text = torch.tensor([[*[image] * count, *ids(config, 6)]])
    yield (
        "image, text and state",
        {
            "state": noise(1, int(config.max_state_dim)),
            "noise": noise(1, int(config.chunk_size), int(config.max_action_dim)),
            "timestep": torch.tensor([0.5]),
            "input_ids": text,
            "attention_mask": torch.ones_like(text),
            "pixel_values": noise(1, 1, 3, size, size),
            "pixel_attention_mask": torch.ones(1, 1, dtype=torch.bool),
        },
    )


def _decisions(model: Any) -> Any:
    """States, actions and rewards of four steps."""
    config = model.config
    yield (
        "states and actions",
        {
            "states": noise(1, 4, int(config.state_dim)),
            "actions": noise(1, 4, int(config.act_dim)),
            "rewards": noise(1, 4, 1),
            "returns_to_go": noise(1, 4, 1),
            "timesteps": torch.arange(4)[None],
        },
    )


def _questions(model: Any) -> Any:
    """A text with two questions of two options each."""
    yield (
        "text",
        {
            **ids_of(model),
            "marks": torch.tensor([[4, 7]]),
            "num_options": torch.tensor([[2, 2]]),
            "question_type_ids": torch.tensor([[0, 0]]),
        },
    )


def _queries(model: Any) -> Any:
    """Queries, and what they ask."""
    config = model.config
    yield (
        "features",
        {
            "query_embeds": noise(1, 6, int(config.hidden_size)),
            "encoder_hidden_states": noise(1, 9, int(config.encoder_hidden_size)),
        },
    )


def _draft(model: Any) -> Any:
    """A draft to be filled in, behind what another model has read."""
    config = model.config
    width = int(config.hidden_size)
    yield (
        "features",
        {
            "noise_embeds": noise(1, 6, width),
            "context_hidden_states": noise(1, 8, len(config.target_layer_ids) * width),
            "attention_mask": torch.ones(1, 14, dtype=torch.long),
            "position_ids": torch.arange(14)[None],
        },
    )


def _stacked_frames(factor: int | None = None) -> Callable[[Any], Any]:
    """Frames of sound that were stacked before the model."""

    def made(model: Any) -> Any:
        config = getattr(model.config, "encoder_config", model.config)
        width = int(config.num_mel_bins) * int(factor or config.num_stacked_frames)
        frames = noise(1, 24, width)
        takes = inspect.signature(model.forward).parameters
        for name in ("input_features_mask", "attention_mask"):
            if name in takes:
                yield "speech", {"input_features": frames, name: torch.ones(1, 24, dtype=torch.long)}

    return made


def _mel(model: Any) -> Any:
    """A spectrogram under the name that the family gives it."""
    frames = noise(1, 64, int(model.config.input_feat_size))
    yield "speech", {"audio_mel": frames, "audio_mel_mask": torch.zeros(1, 64, dtype=torch.bool)}


def _wave_and_features(model: Any) -> Any:
    """Sound twice: as a wave, and as what another model is to read of it."""
    width = int(model.config.semantic_model_config.feature_projection_input_dim)
    for frames in (20, 21):
        yield "speech", {"input_values": noise(1, 1, 6400), "input_features": noise(1, frames, width)}


def _latents(model: Any) -> Any:
    """What an encoder has made of sound."""
    config = model.config
    for width in dict.fromkeys(
        int(value)
        for name in ("hidden_size", "codebook_dim", "latent_dim", "vector_quantization_hidden_dimension")
        if isinstance(value := getattr(config, name, None), int)
    ):
        yield "features", {"latents": noise(1, width, 6)}
        yield "features", {"latents": noise(1, 6, width)}


def _sound_and_video(model: Any) -> Any:
    """A clip as sound and as pictures."""
    for size in (9600, 38400):
        yield (
            "sound and video",
            {"input_values": noise(1, 1, size), "pixel_values_videos": noise(1, 4, 3, 32, 32)},
        )


def _frames_aside(model: Any) -> Any:
    """A video whose frames are rows of a batch."""
    size = int(model.config.image_size)
    yield "video", {"pixel_values": noise(int(model.config.num_frames), 3, size, size)}


def _hidden(model: Any) -> Any:
    """What stands before a part of a codec: sound, or what was made of it."""
    for width, count in ((int(model.config.channels), 6400), (int(model.config.hidden_size), 6)):
        yield "speech", {"hidden_states": noise(1, width, count)}


def _transparent(model: Any) -> Any:
    """An image with a layer that says where its object roughly is."""
    yield "image", {"pixel_values": noise(1, 4, 64, 64)}


def _text_and_picture(model: Any) -> Any:
    """Text beside a picture, each read in the light of the other."""
    size = int(model.config.vision_config.image_size)
    yield "image and text", {**ids_of(model), "pixel_values": noise(1, 3, size, size)}


def _codebooks_aside(model: Any) -> Any:
    """Text, and the codebooks of a sound as rows of a batch."""
    count = int(model.config.decoder.num_codebooks)
    codes = torch.tensor([[3, 5, 8, 2, 9]] * count)
    yield "text to speech", {**ids_of(model), "decoder_input_ids": codes}


def _codebooks_within(model: Any) -> Any:
    """Text with the codebooks of a sound at every place."""
    codes = ids(model.config, 6)
    yield "speech", {"input_ids": torch.tensor([[codes[:1] * (1 + int(model.config.num_codebooks))] * 6])}


#: Inputs of families that no rule fits: from a model to (label, tensors).
INPUTS: dict[str, Callable[[Any], Any]] = {
    "vit_mae": _masked_patches,
    "chameleon": _only_text,
    "emu3": _only_text,
    "instructblip": _asked_twice,
    "lxmert": _with_objects,
    "dia": _codebooks,
    "efficientloftr": _two_images,
    "lightglue": _two_images,
    "superglue": _two_images,
    "seggpt": _prompted,
    "pix2struct": _patches,
    "minicpm_ocr_vision": _long_patches,
    "minicpmv4_7_vision": _long_patches,
    "inkling2_vision": _pixel_patches,
    "kosmos-2": _place_mask,
    "idefics": _seen_by_words,
    "instructblipvideo": _asked_of_video,
    "oneformer": _with_task,
    "omdet-turbo": _with_classes,
    "pi0": _robot,
    "decision_transformer": _decisions,
    "jev": _questions,
    "blip_2_qformer": _queries,
    "muse_glimmer_assistant": _draft,
    "fun_asr_nano_encoder": _stacked_frames(),
    "granite_speech5_encoder": _stacked_frames(4),
    "granite_speech5_ctc": _stacked_frames(4),
    "gemma3n_audio": _mel,
    "neucodec": _wave_and_features,
    "xcodec2": _wave_and_features,
    "mimi_decoder": _latents,
    "pocket_tts_audio_tokenizer_decoder": _latents,
    "vibevoice_acoustic_tokenizer_decoder": _hidden,
    "vibevoice_acoustic_tokenizer_encoder": _hidden,
    "xclip_vision_model": _frames_aside,
    "pe_audio_video_encoder": _sound_and_video,
    "BridgeTowerModel": _text_and_picture,
    "vitmatte": _transparent,
    "musicgen": _codebooks_aside,
    "musicgen_melody": _codebooks_aside,
    "kyutai_speech_to_text": _codebooks_within,
}
