"""Models that need no close watch: nothing in their code but plain attention makes rows of a softmax."""

import traceback

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import tiny
from attnflow.capture import capture
from attnflow.capture.reach import only_plain
from attnflow.capture.state import as_found, switch_to_eager

IDS = [6, 9, 30, 12, 45, 9, 17, 2]


class Counting(TorchFunctionMode):
    """Counts what makes rows of a softmax, within eager functions and elsewhere."""

    def __init__(self):
        super().__init__()
        self.eager = self.elsewhere = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ("softmax", "_safe_softmax", "scaled_dot_product_attention"):
            callers = {frame.name for frame in traceback.extract_stack()}
            self.eager += "eager_attention_forward" in callers
            self.elsewhere += "eager_attention_forward" not in callers
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_nothing_else_attends(family):
    """Where a model counts as plain, its eager pass comes to softmax in its eager function alone."""
    model = tiny.build(family)
    if not only_plain(model):
        pytest.skip("watched closely")
    inputs = {"input_ids": torch.tensor([IDS])}
    if model.config.is_encoder_decoder and not family.endswith("class"):
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :3]
    counting = Counting()
    with as_found(model):
        switch_to_eager(model)
        with counting:
            model(**inputs)
    assert counting.elsewhere == 0
    assert counting.eager or family == "mamba"


@pytest.mark.parametrize("family", ["bert", "llama", "bart"])
def test_plain_families(family):
    assert only_plain(tiny.build(family))


@pytest.mark.parametrize("family", ["gpt-oss", "gemma3", "t5", "gpt2", "xlnet", "deberta-v2"])
def test_other_families(family):
    assert not only_plain(tiny.build(family))


def test_what_was_changed_is_watched():
    model = tiny.build("bert")
    handle = model.encoder.layer[0].register_forward_hook(lambda *args: None)
    assert not only_plain(model)
    handle.remove()
    assert only_plain(model)
    model.encoder.layer[0].attention.forward = model.encoder.layer[0].attention.forward
    assert not only_plain(model)


def test_code_from_elsewhere_is_watched():
    class Mixer(nn.Module):
        def forward(self, x):
            return x

    model = tiny.build("bert")
    model.encoder.layer[0].output.LayerNorm = Mixer()
    assert not only_plain(model)


def test_an_eager_function_that_was_registered_is_heard(monkeypatch):
    def louder(module, query, key, value, mask, scaling, **kwargs):
        weights = (query @ key.transpose(-1, -2) * scaling * 2).softmax(-1)
        return (weights @ value).transpose(1, 2), weights

    model = tiny.build("bert")
    assert only_plain(model)
    plain = capture(model, inputs={"input_ids": IDS}).record("attention").encoder
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "eager", louder)
    found = capture(model, inputs={"input_ids": IDS}).record("attention").encoder
    assert len(found) == len(plain)
    assert abs(found[0] - plain[0]).max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_heard(dtype):
    model = tiny.build("bert")
    plain = capture(model, inputs={"input_ids": IDS}).record("attention").encoder
    found = capture(model.to(dtype), inputs={"input_ids": IDS}).record("attention").encoder
    assert len(found) == len(plain)
    assert max(abs(one - other).max() for one, other in zip(found, plain)) < 0.02
