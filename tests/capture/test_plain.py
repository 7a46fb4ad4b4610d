"""Plain attention in one step: the same numbers as the family's own lines, and only for these lines."""

import functools
import gc
import importlib

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import tiny
from attnflow.capture import mixing as listening
from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.mixing import Mixing, Scratch
from attnflow.capture.plain import in_one_step, is_plain
from attnflow.capture.records import Heads, keep_attention
from attnflow.capture.state import as_found

HEADS, SIZE, WIDTH = 4, 7, 6


def eager_of(family):
    return importlib.import_module(f"transformers.models.{family}.modeling_{family}").eager_attention_forward


@pytest.mark.parametrize("family", ["bert", "llama", "gpt_neox", "clip", "vit", "wav2vec2", "qwen3"])
def test_families_with_plain_attention(family):
    assert is_plain(eager_of(family))


@pytest.mark.parametrize("family", ["gemma3", "gpt_oss", "t5", "gpt2"])
def test_families_with_more_than_that(family):
    """Capped scores, sinks, biases of positions, casts."""
    assert not is_plain(eager_of(family))


def eager_attention_forward(module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
    attn_weights = torch.matmul(query, key.transpose(2, 3)) * scaling * 2
    if attention_mask is not None:
        attn_weights = attn_weights + attention_mask
    attn_weights = nn.functional.softmax(attn_weights, dim=-1)
    attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)
    attn_output = torch.matmul(attn_weights, value)
    attn_output = attn_output.transpose(1, 2).contiguous()
    return attn_output, attn_weights


def test_a_function_that_wraps_a_plain_one():
    """Its own lines are others, whatever it is a copy of by name, documentation and signature."""
    original = eager_of("bert")

    @functools.wraps(original)
    def knocked(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **kwargs):
        return eager_of("bert")(module, query, key, value * 0, attention_mask, scaling, dropout, **kwargs)

    assert not is_plain(knocked)
    del knocked.__wrapped__
    assert not is_plain(knocked)


def test_what_alters_attention_is_not_bypassed(monkeypatch):
    """Somebody's own softmax, and somebody who listens himself, get to see every line."""
    seen = []
    softmax = nn.functional.softmax

    def noted(*args, **kwargs):
        seen.append("softmax")
        return softmax(*args, **kwargs)

    class Listening(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is softmax:
                seen.append("mode")
            return func(*args, **(kwargs or {}))

    model = tiny.build("bert")
    tensors = {"input_ids": torch.tensor([[2, 9, 30, 7, 3]])}

    def run():
        with as_found(model):
            run_listening(model, tensors, Recorder(model, keep_attention, Heads("mean")))

    run()
    assert not seen
    with Listening():
        run()
    assert seen == ["mode"] * model.config.num_hidden_layers
    monkeypatch.setattr(nn.functional, "softmax", noted)
    run()
    assert "softmax" in seen


def test_a_line_that_differs():
    assert not is_plain(eager_attention_forward)
    assert not is_plain(len)
    assert not is_plain(None)


def given(dtype=torch.float32, groups=1, batch=1):
    generator = torch.Generator().manual_seed(3)
    shape = (batch, SIZE, HEADS, WIDTH)
    query = torch.randn(shape, generator=generator).to(dtype).transpose(1, 2)
    key, value = (
        torch.randn(shape, generator=generator)[:, :, : HEADS // groups].to(dtype).transpose(1, 2)
        for _ in "kv"
    )
    return query, key, value


def one_step(function):
    """As a module that is listened to calls it."""

    class Attention(nn.Module):
        def forward(self, *args, **kwargs):
            return in_one_step(function)(*args, **kwargs)

    def run(*args, **kwargs):
        model = Attention()
        with Mixing(model, lambda name, mixture: None).listening():
            return model(*args, **kwargs)

    return run


def masks():
    causal = torch.full((1, 1, SIZE, SIZE), torch.finfo(torch.float32).min).triu(1)
    padding = torch.zeros(1, 1, 1, SIZE)
    padding[..., -2:] = torch.finfo(torch.float32).min
    biases = torch.randn(1, HEADS, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    return {"none": None, "causal": causal, "padding": padding, "biases": biases}


def module(groups=1, training=False):
    made = nn.Module()
    made.num_key_value_groups = groups
    return made.train(training)


@pytest.mark.parametrize("mask", ["none", "causal", "padding", "biases"])
@pytest.mark.parametrize(("family", "groups"), [("bert", 1), ("llama", 1), ("llama", 2), ("llama", 4)])
@pytest.mark.parametrize("batch", [1, 3])
def test_same_numbers(family, groups, mask, batch):
    function, inputs = eager_of(family), given(groups=groups, batch=batch)
    args = (module(groups), *inputs, masks()[mask])
    found = one_step(function)(*args, scaling=0.3)
    expected = function(*args, scaling=0.3)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous()
    before = given(groups=groups, batch=batch)
    assert all(torch.equal(one, other) for one, other in zip(inputs, before))


@pytest.mark.parametrize("mask", ["none", "biases"])
def test_same_gradients(mask):
    function = eager_of("llama")
    found = []
    for attend in (function, one_step(function)):
        inputs = [part.requires_grad_(True) for part in given(groups=2)]
        output, weights = attend(module(2), *inputs, masks()[mask], scaling=0.3)
        found.append(torch.autograd.grad(output.square().sum(), [*inputs, weights]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_run_as_they_are(dtype):
    function, args = eager_of("llama"), (module(), *given(dtype), None)
    for one, other in zip(one_step(function)(*args, scaling=0.3), function(*args, scaling=0.3)):
        assert one.dtype == dtype
        assert torch.equal(one, other)


def test_dropout_runs_as_it_is():
    function, args = eager_of("bert"), (module(training=True), *given(), None)
    torch.manual_seed(0)
    found = one_step(function)(*args, dropout=0.5)
    torch.manual_seed(0)
    expected = function(*args, dropout=0.5)
    assert all(torch.equal(one, other) for one, other in zip(found, expected))
    assert (found[1] == 0).any()


def test_autocast_runs_as_it_is():
    function, args = eager_of("bert"), (module(), *given(), None)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = one_step(function)(*args), function(*args)
    assert found[0].dtype == torch.bfloat16
    assert all(torch.equal(one, other) for one, other in zip(found, expected))


def test_what_is_found_may_replace_the_output():
    class Attention(nn.Module):
        def forward(self, *inputs):
            return listening.attend(*inputs, None, 0.3)

    model = nn.Sequential(Attention())
    seen = []

    def found(name, mixture):
        seen.append((name, mixture.weights.shape))
        return torch.zeros_like(mixture.output)

    with torch.no_grad(), Mixing(model, found).listening():
        output, _ = model[0](*given())
    assert seen == [("0", (1, HEADS, SIZE, SIZE))]
    assert not output.any()


def test_scratch_is_handed_out_once():
    scratch = Scratch()
    one = scratch.take((2, 3))
    place, view = one.data_ptr(), one[0]
    del one
    gc.collect()
    other = scratch.take((2, 3))
    assert other.data_ptr() != place  # the view still holds it
    del view, other
    again = scratch.take((3, 2))
    assert again.data_ptr() == place
    assert again.shape == (3, 2)
    del again
    assert scratch.take((4, 5)).shape == (4, 5)


def test_weights_that_the_model_keeps_stay_what_they_are():
    model = tiny.build("bert")
    ids = torch.tensor([[2, 9, 30, 7, 3]])
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(input_ids=ids, output_attentions=True).attentions
    with as_found(model):
        recorder = Recorder(model, keep_attention, Heads("mean"))
        found = run_listening(model, {"input_ids": ids, "output_attentions": True}, recorder).attentions
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
