"""Ids among positions that a model adds of its own: where they stand is read off the model."""

import pytest
import torch
import transformers

from attnflow.capture import capture
from attnflow.errors import CaptureError

IDS = [6, 9, 30, 12]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "vocab_size": 60,
}
VISION = {**SIZES, "image_size": 32, "patch_size": 16}
del VISION["vocab_size"]


def made(name, config, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return getattr(transformers, name)(getattr(transformers, config)(**{**SIZES, **changes})).eval()


def image():
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_patches_before_the_words():
    model = made("GitModel", "GitConfig", vision_config=VISION)
    inputs = {"input_ids": torch.tensor([IDS]), "pixel_values": image()}
    trace = capture(model, inputs=inputs)
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True).attentions
    for layer, attention in zip(trace.record("attention").encoder, expected):
        torch.testing.assert_close(torch.tensor(layer), attention[0].mean(0))
    assert [token.id for token in trace.encoder_tokens] == [None] * 5 + IDS  # class token and 4 patches
    assert [token.special for token in trace.encoder_tokens] == [True] * 5 + [False] * 4


def test_patches_behind_the_words():
    model = made("ViltModel", "ViltConfig", image_size=32, patch_size=16)
    trace = capture(model, inputs={"input_ids": torch.tensor([IDS]), "pixel_values": image()})
    assert [token.id for token in trace.encoder_tokens][:4] == IDS
    assert all(token.id is None for token in trace.encoder_tokens[4:])
    assert len(trace.encoder_tokens) == 9


def test_words_that_cannot_be_told_are_refused():
    model = made("GitModel", "GitConfig", vision_config=VISION)
    model.embeddings.register_forward_hook(lambda module, args, out: out.flip(1))  # not in their order
    with pytest.raises(CaptureError, match="9 positions of 4 ids"):
        capture(model, inputs={"input_ids": torch.tensor([IDS]), "pixel_values": image()})
