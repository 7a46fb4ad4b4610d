"""Tiny random models that see and hear, and the processors that go with them."""

from __future__ import annotations

import numpy as np
import transformers
from transformers.utils import logging

logging.set_verbosity_error()

SIDE, PATCH = 24, 8
_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "image_size": SIDE,
    "patch_size": PATCH,
}
_CLASSES = {"num_labels": 3}
_TEXT = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
}
_WHISPER = {
    "vocab_size": 200,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "num_mel_bins": 16,
    "max_source_positions": 50,
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
_WAV = {
    "vocab_size": 30,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "conv_dim": (8, 8, 8),
    "conv_stride": (5, 8, 4),
    "conv_kernel": (10, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "pad_token_id": 0,
}

#: name -> (class, configuration class, configuration)
FAMILIES: dict[str, tuple[str, str, dict]] = {
    "vit": ("ViTModel", "ViTConfig", _VIT),
    "vit-class": ("ViTForImageClassification", "ViTConfig", {**_VIT, **_CLASSES}),
    "deit": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**_VIT, **_CLASSES}),
    "dinov2": ("Dinov2Model", "Dinov2Config", _VIT),
    "dinov2-registers": (
        "Dinov2WithRegistersForImageClassification",
        "Dinov2WithRegistersConfig",
        {**_VIT, **_CLASSES},
    ),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**_VIT, "num_register_tokens": 3}),
    "beit": ("BeitForImageClassification", "BeitConfig", {**_VIT, **_CLASSES}),
    "ijepa": ("IJepaModel", "IJepaConfig", _VIT),
    "siglip-vision": ("SiglipVisionModel", "SiglipVisionConfig", _VIT),
    "clip-vision": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", _VIT),
    "yolos": (
        "YolosForObjectDetection",
        "YolosConfig",
        {**_VIT, **_CLASSES, "image_size": [SIDE, SIDE], "num_detection_tokens": 4},
    ),
    "mae": ("ViTMAEModel", "ViTMAEConfig", {**_VIT, "mask_ratio": 0.3}),
    "clip": (
        "CLIPModel",
        "CLIPConfig",
        {
            "vision_config": _VIT,
            "text_config": {**_TEXT, "eos_token_id": 3, "bos_token_id": 1, "pad_token_id": 0},
        },
    ),
    "siglip": ("SiglipModel", "SiglipConfig", {"vision_config": _VIT, "text_config": _TEXT}),
    "videomae": (
        "VideoMAEForVideoClassification",
        "VideoMAEConfig",
        {**_VIT, **_CLASSES, "num_frames": 4, "tubelet_size": 2},
    ),
    "ast": (
        "ASTForAudioClassification",
        "ASTConfig",
        {
            **{name: value for name, value in _VIT.items() if name != "image_size"},
            **_CLASSES,
            "patch_size": 16,
            "max_length": 64,
            "num_mel_bins": 32,
            "frequency_stride": 8,
            "time_stride": 8,
        },
    ),
    "whisper": ("WhisperForConditionalGeneration", "WhisperConfig", _WHISPER),
    "wav2vec2-ctc": ("Wav2Vec2ForCTC", "Wav2Vec2Config", _WAV),
    "wav2vec2-class": ("Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", {**_WAV, **_CLASSES}),
    "hubert": ("HubertModel", "HubertConfig", _WAV),
}


def build(family: str, **changes: object) -> transformers.PreTrainedModel:
    """Builds a random model, in eval mode."""
    import torch

    name, config, options = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, name)(getattr(transformers, config)(**{**options, **changes}))
        for parameter in model.parameters():  # the usual 0.02 makes all attention nearly uniform
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def picture(height: int = SIDE, width: int = SIDE, seed: int = 0) -> np.ndarray:
    """A random picture, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def eye(cls: str = "ViTImageProcessor") -> transformers.ImageProcessingMixin:
    """An image processor for the models here."""
    return getattr(transformers, cls)(size={"height": SIDE, "width": SIDE})


def ear() -> transformers.WhisperFeatureExtractor:
    """Whisper's feature extractor for clips up to one second."""
    return transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1)


def tone(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise that swells."""
    samples = np.random.default_rng(seed).normal(size=int(seconds * rate)).astype(np.float32)
    return samples * np.linspace(0.1, 0.5, samples.size, dtype=np.float32)


# -- models that see or hear within a text ----------------------------------------------------------------

IMAGE = 99  # the placeholder
_LLM = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def _config(name: str, **options: object) -> transformers.PreTrainedConfig:
    return getattr(transformers, f"{name}Config")(**options)


def _llama() -> transformers.PreTrainedConfig:
    return _config("Llama", **_LLM)


def mixed(family: str) -> tuple[transformers.PreTrainedModel, dict]:
    """A random model that reads pictures or sound within a text, and inputs for it."""
    import torch

    torch_pixels = lambda *shape: torch.randn(*shape, generator=torch.Generator().manual_seed(0))  # noqa: E731
    large = {**_VIT, "image_size": 32}
    pixels, wide = torch_pixels(1, 3, SIDE, SIDE), torch_pixels(1, 3, 32, 32)
    placeholder = {"image_token_id": IMAGE}

    def ids(count: int, front: tuple[int, ...] = (1, 5), behind: tuple[int, ...] = (6, 7)) -> dict:
        return {"input_ids": [*front, *[IMAGE] * count, *behind]}

    def made() -> tuple[str, transformers.PreTrainedConfig, dict]:
        match family:
            case "llava":
                vision = _config("CLIPVision", **_VIT)
                config = _config("Llava", vision_config=vision, text_config=_llama(), **placeholder)
                return "LlavaForConditionalGeneration", config, {**ids(9), "pixel_values": pixels}
            case "llava-next":
                vision = _config("CLIPVision", **_VIT)
                config = _config(
                    "LlavaNext",
                    vision_config=vision,
                    text_config=_llama(),
                    image_grid_pinpoints=[[48, 24], [24, 48]],
                    **placeholder,
                )
                sizes = torch.tensor(
                    [[20, 48]]
                )  # as wide as two tiles, and lower: a row above and below is padding
                inputs = {
                    **ids(9 + 7 * 3),
                    "pixel_values": torch_pixels(1, 3, 3, 24, 24),
                    "image_sizes": sizes,
                }
                return "LlavaNextForConditionalGeneration", config, inputs
            case "paligemma":
                config = _config(
                    "PaliGemma",
                    vision_config=_config("SiglipVision", **_VIT),
                    text_config=_config("Gemma", **_LLM, head_dim=8),
                    projection_dim=32,
                    **placeholder,
                )
                inputs = {**ids(9, (), (1, 6, 7)), "pixel_values": pixels, "token_type_ids": [0] * 12}
                return "PaliGemmaForConditionalGeneration", config, inputs
            case "gemma3":
                text = _config(
                    "Gemma3Text",
                    **_LLM,
                    head_dim=8,
                    sliding_window=8,
                    layer_types=["sliding_attention", "full_attention"],
                )
                config = _config(
                    "Gemma3",
                    vision_config=_config("SiglipVision", **large),
                    text_config=text,
                    mm_tokens_per_image=4,
                    **placeholder,
                )
                inputs = {**ids(4), "pixel_values": wide, "token_type_ids": [0, 0, 1, 1, 1, 1, 0, 0]}
                return "Gemma3ForConditionalGeneration", config, inputs
            case "qwen2-vl":
                vision = {
                    "depth": 2,
                    "embed_dim": 32,
                    "hidden_size": 32,
                    "num_heads": 4,
                    "patch_size": 8,
                    "spatial_merge_size": 2,
                    "mlp_ratio": 2,
                }
                rope = {"rope_type": "default", "mrope_section": [1, 1, 2]}
                config = _config(
                    "Qwen2VL",
                    vision_config=vision,
                    text_config={**_LLM, "rope_parameters": rope},
                    vision_start_token_id=97,
                    vision_end_token_id=98,
                    **placeholder,
                )
                inputs = {
                    **ids(6, (1, 97), (98, 7)),
                    "pixel_values": torch_pixels(24, 3 * 2 * 64),
                    "image_grid_thw": torch.tensor([[1, 4, 6]]),
                    "mm_token_type_ids": [0, 0, *[1] * 6, 0, 0],
                }
                return "Qwen2VLForConditionalGeneration", config, inputs
            case "internvl":
                vision = _config("InternVLVision", **{**large, "image_size": [32, 32], "patch_size": [8, 8]})
                config = _config(
                    "InternVL",
                    vision_config=vision,
                    text_config=_config("Qwen2", **_LLM),
                    downsample_ratio=0.5,
                    vision_feature_layer=-1,
                    **placeholder,
                )
                inputs = {**ids(8), "pixel_values": torch_pixels(2, 3, 32, 32)}
                return "InternVLForConditionalGeneration", config, inputs
            case "idefics3":
                config = _config(
                    "Idefics3", vision_config=large, text_config=_llama(), scale_factor=2, **placeholder
                )
                return "Idefics3ForConditionalGeneration", config, {**ids(4), "pixel_values": wide[None]}
            case "mistral3":
                vision = _config("PixtralVision", **{**large, "head_dim": 8})
                config = _config(
                    "Mistral3",
                    vision_config=vision,
                    text_config=_config("Mistral", **_LLM),
                    spatial_merge_size=2,
                    **placeholder,
                )
                inputs = {
                    "input_ids": [1, *[IMAGE] * 2, 98, *[IMAGE] * 2, 97, 7],
                    "pixel_values": wide,
                    "image_sizes": torch.tensor([[32, 32]]),
                }
                return "Mistral3ForConditionalGeneration", config, inputs
            case "blip-2":
                language = {
                    "vocab_size": 100,
                    "hidden_size": 32,
                    "num_hidden_layers": 2,
                    "ffn_dim": 37,
                    "num_attention_heads": 4,
                    "max_position_embeddings": 64,
                    "word_embed_proj_dim": 32,
                }
                config = _config(
                    "Blip2",
                    vision_config=_config("Blip2Vision", **_VIT),
                    qformer_config=_config("Blip2QFormer", **_TEXT, encoder_hidden_size=32),
                    text_config=_config("OPT", **language, bos_token_id=1, eos_token_id=2, pad_token_id=0),
                    num_query_tokens=4,
                    image_token_index=IMAGE,
                )
                inputs = {**ids(4, (), (1, 6, 7)), "pixel_values": pixels}
                return "Blip2ForConditionalGeneration", config, inputs
            case _:
                audio = {
                    name: value
                    for name, value in _WHISPER.items()
                    if name.startswith(("encoder", "d_model", "num_mel"))
                }
                config = _config(
                    "Qwen2Audio",
                    audio_config=_config("Qwen2AudioEncoder", **audio, max_source_positions=50),
                    text_config=_config("Qwen2", **_LLM),
                    audio_token_index=IMAGE,
                )
                mask = torch.zeros(1, 100, dtype=torch.long)
                mask[:, :80] = 1
                inputs = {
                    **ids(20, (1,), (7,)),
                    "input_features": torch_pixels(1, 16, 100),
                    "feature_attention_mask": mask,
                }
                return "Qwen2AudioForConditionalGeneration", config, inputs

    with torch.random.fork_rng():
        torch.manual_seed(1)
        name, config, inputs = made()
        model = getattr(transformers, name)(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.generation_config.eos_token_id = None
    return model.eval(), inputs


TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}<image> {% else %}{{ p.text }} {% endif %}{% endfor %}"
    "{% endif %} <end> {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def words() -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of whole words with a placeholder for pictures."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = ["<pad>", "<s>", "</s>", "<unk>", "<user>", "<assistant>", "<end>", "<audio>"]
    known += [
        "what",
        "is",
        "in",
        "this",
        "picture",
        "?",
        "a",
        "cat",
        "and",
        "dog",
        "the",
        "other",
        "describe",
        "it",
        "please",
    ]
    vocabulary = {word: index for index, word in enumerate(known)} | {"<image>": IMAGE}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<image>", "<audio>", "<user>", "<assistant>", "<end>", "<s>", "</s>"])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def llava_processor() -> transformers.LlavaProcessor:
    """A processor for the LLaVA here: nine placeholders for each picture."""
    size = {"height": SIDE, "width": SIDE}
    images = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=size)
    return transformers.LlavaProcessor(
        images,
        words(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
