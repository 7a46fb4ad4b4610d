"""Lengths of the vectors that positions send, against sums of those vectors made one by one."""

import numpy as np
import pytest
import torch
from transformers.pytorch_utils import Conv1D

import tiny
from attnflow.capacity import capacities
from attnflow.capture import capture
from attnflow.errors import CaptureError, OptionError

IDS = [6, 9, 30, 12, 45, 9, 17, 2]
GIVEN = [2, 7, 11, 13]
#: How each family names the projections of values and output.
PROJECTIONS = {
    "bert": ("attention.self.value", "attention.output.dense"),
    "roberta": ("attention.self.value", "attention.output.dense"),
    "albert": ("attention.value", "attention.dense"),
    "distilbert": ("attention.v_lin", "attention.out_lin"),
    "gpt2": ("attn.c_attn", "attn.c_proj"),
    "llama": ("self_attn.v_proj", "self_attn.o_proj"),
    "gemma3": ("self_attn.v_proj", "self_attn.o_proj"),
    "gpt-oss": ("self_attn.v_proj", "self_attn.o_proj"),
    "gptj": ("attn.v_proj", "attn.out_proj"),
    "deberta-v2": ("attention.self.value_proj", "attention.output.dense"),
    "t5": ("SelfAttention.v", "SelfAttention.o"),
    "bart": ("self_attn.v_proj", "self_attn.out_proj"),
    "marian": ("self_attn.v_proj", "self_attn.out_proj"),
    "mbart": ("self_attn.v_proj", "self_attn.out_proj"),
}
CROSS = {
    "t5": ("EncDecAttention.v", "EncDecAttention.o"),
    "bart": ("encoder_attn.v_proj", "encoder_attn.out_proj"),
    "marian": ("encoder_attn.v_proj", "encoder_attn.out_proj"),
    "mbart": ("encoder_attn.v_proj", "encoder_attn.out_proj"),
}


def affine(module):
    """W `[in, out]` and b of a linear map."""
    weight = module.weight if isinstance(module, Conv1D) else module.weight.T
    return weight.detach(), 0 if module.bias is None else module.bias.detach()


def passes(model, inputs, value, output):
    """Per layer of an eager run what the value projection read, it, what the output projection returned, and it."""
    other = tiny.eager(model)
    read, returned = [], []

    def reads(module, args, out):
        read.append((args[0][0], module))

    def returns(module, args, out):
        returned.append((out[0], module))

    for name, module in other.named_modules():
        if name.endswith(value):
            module.register_forward_hook(reads)
        if name.endswith(output):
            module.register_forward_hook(returns)
    with torch.no_grad():
        outputs = other(**{k: torch.tensor([v]) for k, v in inputs.items()}, output_attentions=True)
    return outputs, [(*one, *two) for one, two in zip(read, returned)]


def sent(A, x, value, output):
    """`[queries, keys, width]`: sum_h A_h[q, k] (x_k W_V,h + b_V,h) W_O,h."""
    W, b = affine(value)
    v = x @ W + b
    if isinstance(value, Conv1D):  # queries, keys and values in one
        v = v[:, -v.shape[-1] // 3 :]
    Wo, bias = affine(output)
    heads = A.shape[0]
    width = Wo.shape[0] // heads
    v = v.reshape(len(v), -1, width).repeat_interleave(heads * width // v.shape[-1], dim=1)
    each = torch.einsum("khd,hdo->kho", v, Wo.reshape(heads, width, -1))
    return torch.einsum("hqk,kho->qko", A, each), bias


@pytest.mark.parametrize("family", PROJECTIONS)
def test_norms_are_of_the_vectors_that_sum_to_the_output(family):
    model = tiny.build(family)
    inputs = {"input_ids": IDS, **({"decoder_input_ids": GIVEN} if family in CROSS else {})}
    trace = capture(model, inputs=inputs, record="norm")
    record = trace.record("norm")
    outputs, calls = passes(model, inputs, *PROJECTIONS[family])
    names = ["encoder_attentions", "decoder_attentions"] if family in CROSS else ["attentions"]
    attentions = [layer for name in names for layer in outputs[name]]
    layers = [*record.encoder, *record.decoder]
    if family in CROSS:
        outputs, more = passes(model, inputs, *CROSS[family])
        calls, attentions = calls + more, [*attentions, *outputs.cross_attentions]
        layers += record.cross
    assert len(layers) == len(calls) == len(attentions) > 0
    for found, A, (x, value, out, output) in zip(layers, attentions, calls):
        vectors, bias = sent(A[0], x, value, output)
        np.testing.assert_allclose((vectors.sum(1) + bias).numpy(), out.numpy(), atol=2e-5)
        np.testing.assert_allclose(found, vectors.norm(dim=-1).numpy(), atol=2e-5)


def test_subset_of_heads():
    model = tiny.build("llama")
    trace = capture(model, inputs={"input_ids": IDS}, record="norm", heads=[1, 2])
    outputs, calls = passes(model, {"input_ids": IDS}, *PROJECTIONS["llama"])
    x, value, _, output = calls[0]
    A = outputs.attentions[0][0].clone()
    A[[0, 3]] = 0
    vectors, _ = sent(A, x, value, output)
    np.testing.assert_allclose(trace.record("norm").decoder[0], vectors.norm(dim=-1).numpy(), atol=2e-5)
    with pytest.raises(OptionError, match="heads"):
        capture(model, inputs={"input_ids": IDS}, record="norm", heads="max")


def test_capacities_are_shares():
    trace = capture(tiny.build("gpt-oss"), inputs={"input_ids": IDS}, record="norm")
    assert set(trace.records) == {"attention", "norm"}
    found = capacities(trace, "norm")
    assert found.unit == "share"
    assert found.residual == 0.5
    for C, N in zip(found.decoder, trace.record("norm").decoder):
        np.testing.assert_allclose(C.sum(1), 1)
        np.testing.assert_allclose(C[3, 1], 0.5 * N[3, 1] / N[3].sum(), rtol=1e-6)


def test_zero_rows_stay_zero():
    from dataclasses import replace

    from attnflow.trace import Record

    trace = capture(tiny.build("bert"), inputs={"input_ids": IDS}, record="norm")
    N = trace.record("norm").encoder[0].copy()
    N[2] = 0
    trace = replace(trace, records={**trace.records, "norm": Record(encoder=(N,))})
    assert not capacities(trace, "norm", residual=0).encoder[0][2].any()


def test_padding_is_cropped():
    model = tiny.build("bert")
    whole = capture(model, inputs={"input_ids": IDS}, record="norm")
    padded = capture(
        model, inputs={"input_ids": [*IDS, 0, 0], "attention_mask": [1] * 8 + [0] * 2}, record="norm"
    )
    for a, b in zip(whole.record("norm").encoder, padded.record("norm").encoder):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_many_keys_in_parts(monkeypatch):
    from attnflow.capture import norms

    model = tiny.build("llama")
    whole = capture(model, inputs={"input_ids": IDS}, record="norm").record("norm").decoder
    monkeypatch.setattr(norms, "_ENTRIES", 300)
    parts = capture(model, inputs={"input_ids": IDS}, record="norm").record("norm").decoder
    for a, b in zip(whole, parts):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_projection_that_is_no_linear_map_is_refused():
    with pytest.raises(CaptureError, match="no linear map reads"):
        capture(tiny.build("xlnet"), inputs={"input_ids": IDS}, record="norm")


def test_something_between_values_and_projection_is_refused():
    model = tiny.build("llama")
    projection = model.model.layers[0].self_attn.o_proj
    projection.register_forward_pre_hook(lambda module, args: (args[0] * 0.5,))
    with pytest.raises(CaptureError, match="no linear map reads"):
        capture(model, inputs={"input_ids": IDS}, record="norm")


def test_norm_and_gradient_in_one_capture():
    model = tiny.build("bert-class")
    both = capture(model, inputs={"input_ids": IDS}, record=("norm", "relevance"))
    for name in ("norm", "relevance"):
        alone = capture(model, inputs={"input_ids": IDS}, record=name)
        for a, b in zip(alone.record(name).encoder, both.record(name).encoder):
            assert np.array_equal(a, b)
