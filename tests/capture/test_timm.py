"""Vision transformers of timm: fused attention opened, patches placed. Runs where `make realmodels` has put timm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from experiments.packaged.timm_models import import_timm

from attnflow import capture, explain
from attnflow.errors import CaptureError

try:
    timm = import_timm()
except ImportError as error:
    pytest.skip(str(error), allow_module_level=True)

PICTURE = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def build(name: str, **options):
    torch.manual_seed(0)
    options = {"img_size": 64, "depth": 3, "num_classes": 5, **options}
    return timm.create_model(name, pretrained=False, **options).eval()


def unfused(model, picture):
    """What timm's own unfused branch multiplies the values by."""
    found = []
    handles = []
    for block in model.blocks:
        block.attn.fused_attn = False
        handles.append(
            block.attn.attn_drop.register_forward_pre_hook(lambda module, args: found.append(args[0]))
        )
    with torch.no_grad():
        model(picture)
    for block, handle in zip(model.blocks, handles, strict=True):
        handle.remove()
        block.attn.fused_attn = True
    return found


@pytest.mark.parametrize(
    ("name", "front", "positions"),
    [
        ("vit_tiny_patch16_224", ["[CLS]"], (0,)),
        ("deit_tiny_distilled_patch16_224", ["[CLS]", "[DIST]"], (0, 1)),
        ("vit_base_patch16_reg4_gap_256", [f"register {n}" for n in range(1, 5)], tuple(range(4, 20))),
    ],
)
def test_weights_are_those_of_its_unfused_branch(name, front, positions):
    model = build(name)
    with torch.no_grad():
        logits = model(PICTURE)
    trace = capture(model, inputs=PICTURE)
    own = unfused(model, PICTURE)
    for layer, weights in zip(trace.records["attention"].encoder, own, strict=True):
        np.testing.assert_allclose(layer, weights[0].mean(0), atol=1e-6)
    assert [token.text for token in trace.encoder_tokens][: len(front) + 1] == [*front, "patch 0,0"]
    assert trace.media[0].grid == (4, 4)
    assert trace.decisions[0].positions == positions
    assert trace.decisions[0].id == int(logits[0].argmax())
    with torch.no_grad():
        assert torch.equal(model(PICTURE), logits)


@pytest.mark.parametrize("capacity", ["attention", "norm", "relevance", "attention-gradient", "gradient"])
def test_every_scheme(capacity):
    result = explain(build("vit_tiny_patch16_224"), inputs=PICTURE, capacity=capacity, method="flow")
    assert result.scores.shape == (1, 17)
    assert 0 < result.scores.max() <= result.total[0] * (1 + 1e-9)


def test_what_is_no_stack_is_refused():
    windows = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, img_size=224)
    with pytest.raises(CaptureError, match="windows or blocks"):
        capture(windows, inputs=torch.zeros(1, 3, 224, 224))
    with pytest.raises(CaptureError, match="ResNet computed no attention"):
        capture(timm.create_model("resnet18", pretrained=False), inputs=PICTURE)
    with pytest.raises(CaptureError, match="VisionTransformer has no output to differentiate"):
        capture(build("vit_tiny_patch16_224", num_classes=0), inputs=PICTURE, record="relevance")
