"""Tiny configurations: every size of a default configuration made small, so that the parts still fit together.

All widths become one width and all counts of heads one count, which keeps nearly every model consistent, sub-models
included. What a family needs beyond that is declared in `OVERRIDES`.
"""

from __future__ import annotations

import copy
import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH = 64
HEADS = 4
HEAD = WIDTH // HEADS
VOCABULARY = 256
IMAGE = 32
PATCH = 8

#: Integer fields by name; the first that matches counts.
SIZES: tuple[tuple[str, int], ...] = (
    (r"(^|_)vocab_size(_per_layer_input)?$", VOCABULARY),
    (r"^(num_|n_)?(key_value|kv)_heads$|key_value_heads$|num_kv_heads$|key_value_attention_heads$", -1),
    (r"head_dim$|head_size$|^d_kv$|^d_head$|^dim_head$|^kv_channels$|attention_head_dim$", HEAD),
    (r"lora_rank$|^lora_", HEAD),
    (r"(^|_)(num_)?(attention_)?heads$|^n_heads?$|^num_heads$|^n_head$", HEADS),
    (r"^num_feat_extract_layers$|num_adapter_layers|^num_feature_levels$|^num_encoder_blocks$|^num_stages$", 0),
    (r"^(num_|n_)?(hidden_|encoder_|decoder_)?(layers?|blocks|depth)$|_layers$|num_blocks$", 2),
    (r"^depth$|_depth$|layers_per_stack$", 2),
    (r"(experts_per_tok|experts_per_token|moe_topk|moe_k|top_k)$", 2),
    (r"^(topk_group|n_group|num_expert_group)$", 1),
    (r"shared_experts$", 1),
    (r"(num_experts|routed_experts|local_experts|moe_num_experts)$", 4),
    (r"intermediate_size|ffn_dim$|^d_ff$|mlp_dim$|ffn_hidden_size|^d_inner$|n_inner", WIDTH),
    (r"dim_feedforward|feedforward_dim|feed_forward", WIDTH),
    (r"hidden_size|^d_model$|^n_embd$|^embed_dim$|embedding_size$|embedding_dim$|projection_dim|projection_size|"
     r"^dim$|hidden_dim$|_hidden_dim$|pooler_output_size|emb_dim$|conv_dim$|model_dim$|proj_dim$|embed_proj_dim|"
     r"_embed_dim$|feature_size$|output_dim$|input_dim$|fusion_dim|^encoder_width|latent_dim$|_width$|mask_dim$|"
     r"attention_hidden|decoder_dim$|embed_size$|bottleneck_size$", WIDTH),
    (r"^attn_layer_period$|^expert_layer_period$", 2),
    (r"^attn_layer_offset$|^expert_layer_offset$", 1),
    (r"^image_size$|^input_size$|pretrain_image_size|^crop_size$", IMAGE),
    (r"^patch_size$", PATCH),
    (r"spatial_merge_size$|^merge_size$", 2),
    (r"^sliding_window$", 4),
    (r"max_source_positions", 32),
    (r"max_position_embeddings|^n_positions$|max_target_positions|max_seq_len|context_length", 512),
    (r"^num_queries$|num_query_tokens$|num_latents$", 10),
    (r"^upsample_groups$|_in_dim$|_out_dim$|adapter_input_size$|condition_dim$", WIDTH),
    (r"^(mamba_n_heads|mamba_num_heads|linear_num_\w+_heads|linear_num_heads)$", HEADS),
    (r"^(mamba_d_state|state_size|ssm_state_size)$", 8),
)  # fmt: skip


#: Lists with one kind of layer per layer.
_PER_LAYER = (
    "layer_types",
    "layers_block_type",
    "attention_layers",
    "block_types",
    "attn_layers",
    "gnn_layers_types",
)
#: Lists of layers by number.
_NUMBERS = re.compile(
    r"(indexes|indices|layer_ids|target_layers|cross_attention_layers|moe_layers|subsample_layers)$"
)


def tiny(kind: str) -> Any:
    """A small configuration of a model type.

    Raises:
        Exception: whatever the configuration class says about sizes that do not fit.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from benchmarks.support.overrides import AS_IS, DEFAULTS, OVERRIDES

    cls = CONFIG_MAPPING[kind]
    default = cls(**copy.deepcopy(DEFAULTS.get(kind, {})))
    return default if kind in AS_IS else shrunk(default, OVERRIDES.get(kind, {}))


def shrunk(config: Any, overrides: Mapping[str, Any]) -> Any:
    """The same class of configuration, with small sizes."""
    from transformers import PreTrainedConfig

    values: dict[str, Any] = {}
    sub = {name: value for name, value in vars(config).items() if isinstance(value, PreTrainedConfig)}
    own = {name: value for name, value in vars(config).items() if name not in sub}
    layers = _layer_plan(own, overrides, values)
    for name, value in own.items():
        if name in values or name.startswith("_"):
            continue
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int):
            size = _size(name, value, own)
            if size != value:
                values[name] = size
        elif isinstance(value, (list, tuple)) and value:
            small = _list(name, value, layers, own)
            if small is not None:
                values[name] = small
        elif isinstance(value, dict):
            small = _dict(name, value)
            if small != value:
                values[name] = small
    values |= _token_ids({**own, **values})
    values = _unlike_default(config, own) | values
    values |= _sections(config, own, values)
    for name, part in sub.items():
        inner = overrides.get(name, {})
        values[name] = shrunk(part, inner if isinstance(inner, Mapping) else {})
    from benchmarks.support.overrides import BY_CLASS

    values |= copy.deepcopy(dict(BY_CLASS.get(config.model_type, {})))
    values |= {k: copy.deepcopy(v) for k, v in overrides.items() if k not in sub}
    return type(config)(**{k: v for k, v in values.items() if _accepts(type(config), k)})


def _unlike_default(config: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration inside another has from it, such as being a decoder's."""
    try:
        default = vars(type(config)())
    except Exception:  # a class that has no defaults
        return {}
    plain = (bool, int, float, str, dict)
    left = ("id2label", "label2id", "num_labels")
    return {
        name: copy.deepcopy(value)
        for name, value in own.items()
        if not name.startswith("_")
        and name not in left
        and isinstance(value, plain)
        and default.get(name, value) != value
    }


def _accepts(cls: type, name: str) -> bool:
    if name in ("out_indices", "out_features"):  # properties that are taken all the same
        return True
    return not isinstance(inspect.getattr_static(cls, name, None), property) or name in getattr(
        cls, "__dataclass_fields__", {}
    )


def _size(name: str, value: int, own: Mapping[str, Any]) -> int:
    if value <= 1 or name.endswith(("_token_id", "_token_index", "_id", "_ids", "_idx", "_index")):
        return value
    for pattern, size in SIZES:
        if re.search(pattern, name):
            if size == 0:
                return value
            if size == -1:
                heads = own.get("num_attention_heads") or own.get("num_heads") or own.get("n_heads") or value
                heads = heads if isinstance(heads, int) else value
                return HEADS if value >= heads else 2
            return min(value, size)
    return value


def _layer_plan(own: Mapping[str, Any], overrides: Mapping[str, Any], values: dict[str, Any]) -> int:
    """Shortens lists with one entry per layer, so that every kind of layer stays."""
    count = 2
    for name in _PER_LAYER:
        kinds = own.get(name)
        if isinstance(kinds, (list, tuple)) and kinds and all(isinstance(kind, str) for kind in kinds):
            distinct = list(dict.fromkeys(kinds))
            chosen = distinct if len(distinct) > 1 else distinct * 2
            values[name] = chosen
            count = len(chosen)
    for name in ("num_hidden_layers", "n_layer", "num_layers", "n_layers"):
        if isinstance(own.get(name), int) and own[name] > count:
            values[name] = count
    return int(overrides.get("num_hidden_layers", count))


def _list(name: str, value: Any, layers: int, own: Mapping[str, Any]) -> Any:
    kind = type(value)
    depth = own.get("num_hidden_layers") or own.get("num_layers") or own.get("depth") or own.get("n_layer")
    if isinstance(depth, int) and len(value) == depth > layers:
        return kind(_size(name, item, own) if type(item) is int else item for item in value[:layers])
    if _NUMBERS.search(name):
        return (
            kind([layers - 1])
            if all(isinstance(item, int) for item in value) and max(value) >= layers
            else None
        )
    if name == "image_size" and len(value) == 2:
        return kind((IMAGE, IMAGE))
    if name in ("depths",) and all(isinstance(item, int) for item in value):
        return kind(min(item, 2) for item in value)
    if name in ("vision_feature_layer", "vision_feature_layers", "vision_layers"):
        return kind([-1])
    return None


def _sections(config: Any, own: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Shares of time, height and width in rotary positions, where the family has any: they fill half a head."""
    rope = values.get("rope_parameters", own.get("rope_parameters"))
    if not isinstance(rope, dict) or "mrope_section" in rope or "rope_type" not in rope:
        return {}
    module = sys.modules[type(config).__module__]
    for path in Path(str(module.__file__)).parent.glob("modeling_*.py"):
        if "mrope_section" in path.read_text(encoding="utf-8"):
            return {"rope_parameters": {**rope, "mrope_section": [2, 3, 3]}}
    return {}


def _dict(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Rope parameters: sections that fill half a head."""
    changed = copy.deepcopy(value)
    for key, item in changed.items():
        if isinstance(item, dict):
            changed[key] = _dict(key, item)
        elif key == "mrope_section" and isinstance(item, (list, tuple)):
            parts = {2: [4, 4], 3: [2, 3, 3], 4: [2, 2, 2, 2]}[len(item)]
            changed[key] = type(item)(parts)
    return changed


def _token_ids(own: Mapping[str, Any]) -> dict[str, Any]:
    """Special tokens that the small vocabulary no longer has."""
    changed: dict[str, Any] = {}
    free = 255
    for name, value in own.items():
        if not re.search(r"(token_id|token_index|token_ids|_token|token_idx)$", name):
            continue
        if isinstance(value, int) and not isinstance(value, bool) and value >= VOCABULARY:
            changed[name] = free = free - 1
        elif isinstance(value, (list, tuple)) and any(isinstance(x, int) and x >= VOCABULARY for x in value):
            made = []
            for item in value:
                free -= 1
                made.append(free if item >= VOCABULARY else item)
            changed[name] = type(value)(made)
    return changed
