"""What is shared out adds up, and is what the rules say, computed by another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import tiny
from attnflow import FlowNetwork, explain
from attnflow.capacity import capacities
from attnflow.capture import capture, capture_each
from attnflow.errors import CaptureError, OptionError
from tiny_torch import Decoder

IDS = [5, 9, 3, 17, 8]


def shared(model, output=None, ids=IDS, **options):
    return capture(model, inputs={"input_ids": [ids]}, record="conserved", output=output, **options)


def totals(layers):
    return [float(layer.sum()) for layer in layers]


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_without_biases_every_layer_holds_the_whole_logit(family):
    trace = shared(tiny.build(family), 7)
    y = trace.provenance["outputs"][0]["value"]
    assert totals(trace.record("conserved").decoder) == pytest.approx([y] * 3, rel=1e-3)


def test_without_biases_encoder_and_decoder_hold_the_whole_logit_together():
    model = tiny.build("t5")
    inputs = {"input_ids": [IDS], "decoder_input_ids": [[0, 4, 6]]}
    trace = capture(model, inputs=inputs, record="conserved", target=2, output=11)
    y = trace.provenance["outputs"][0]["value"]
    record = trace.record("conserved")
    encoder = totals(record.encoder)
    assert encoder[0] == pytest.approx(encoder[1], rel=1e-3)
    assert encoder[0] + totals(record.decoder)[0] == pytest.approx(y, rel=1e-3)


def straight(norm, x):
    """A layer norm whose deviation is a constant."""
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt().detach() * norm.weight
        + norm.bias
    )


def sloped(f, x):
    return x * (f(x) / x).detach()


def test_one_layer_with_its_norm_behind_by_hand():
    model = tiny.build("bert-class", num_hidden_layers=1).double()
    trace = shared(model, 2)
    n, bert = len(IDS), model.bert
    with torch.no_grad():
        x = bert.embeddings(torch.tensor([IDS]))[0]
    layer = bert.encoder.layer[0]
    x.requires_grad_(True)

    def split(linear):
        return linear(x).reshape(n, 4, 8).transpose(0, 1)

    query, key, value = (split(getattr(layer.attention.self, name)) for name in ("query", "key", "value"))
    A = (query @ key.transpose(1, 2) / math.sqrt(8)).softmax(-1)
    out = layer.attention.output
    z = out.dense((A.detach() @ value).transpose(0, 1).reshape(n, 32)) + x
    h = straight(out.LayerNorm, z)
    h = straight(
        layer.output.LayerNorm,
        h + layer.output.dense(sloped(torch.nn.functional.gelu, layer.intermediate.dense(h))),
    )
    y = model.classifier(sloped(torch.tanh, bert.pooler.dense(h[0])))[2]
    gz, gv = torch.autograd.grad(y, [z, value])
    # what values get is what the edges carry, row by row through the projection's gradient
    g = (gz @ out.dense.weight).reshape(n, 4, 8).transpose(0, 1)
    S = torch.einsum("hqk,hkd,hqd->qk", A, value, g).detach().numpy()
    assert (gv * value).sum().item() == pytest.approx(S.sum())
    expected = S + np.diag((z * gz).sum(-1).detach().numpy() - S.sum(1))
    found = trace.record("conserved").encoder[0]
    assert found == pytest.approx(expected, abs=1e-8)
    assert y.item() == pytest.approx(trace.provenance["outputs"][0]["value"])


def test_the_model_is_left_as_it_was_and_answers_as_ever():
    model = tiny.build("gpt2")
    ids = torch.tensor([IDS])
    before = model(ids).logits
    hooks = [len(part._forward_hooks) for part in model.modules()]
    shared(model, 3)
    assert torch.equal(before, model(ids).logits)
    assert hooks == [len(part._forward_hooks) for part in model.modules()]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_a_contrast_is_the_difference():
    model = tiny.build("gpt2")
    first, second, both = (shared(model, output).record("conserved").decoder for output in (3, 8, (3, 8)))
    for a, b, c in zip(first, second, both):
        assert c == pytest.approx(a - b, abs=1e-4)


def test_several_outputs_share_a_pass_and_records_stand_beside_each_other():
    model = tiny.build("gpt2")
    alone = shared(model, 3)
    beside = capture(model, inputs={"input_ids": [IDS]}, record=["relevance", "conserved"], output=3)
    plain = capture(model, inputs={"input_ids": [IDS]}, record="relevance", output=3)
    for a, b in zip(alone.record("conserved").decoder, beside.record("conserved").decoder):
        assert np.array_equal(a, b)
    for a, b in zip(plain.record("relevance").decoder, beside.record("relevance").decoder):
        assert np.array_equal(a, b)


def test_steps_average_over_the_line():
    model = tiny.build("bert-class")
    found = shared(model, 1, tokenizer=tiny.wordpiece(), steps=3, baseline="mask")
    single = shared(model, 1, tokenizer=tiny.wordpiece())
    assert found.provenance["options"]["baseline"].startswith("mask")
    assert not np.allclose(found.record("conserved").encoder[0], single.record("conserved").encoder[0])


@pytest.mark.parametrize(
    "family",
    ["bert-mlm", "roberta", "modernbert", "albert", "distilbert", "gptj", "bloom", "falcon", "gpt-oss"],
)
def test_families_of_every_build(family):
    model = tiny.build(family)
    trace = shared(model, 7, target=2)
    record = trace.record("conserved")
    layers = record.encoder or record.decoder
    assert all(np.isfinite(layer).all() and layer.any() for layer in layers)
    network = FlowNetwork.from_trace(trace, "conserved")
    assert network.max_flow(target=2).verify()


def test_what_speaks_for_and_against_are_the_two_signs():
    trace = shared(tiny.build("gpt2"), 3)
    S = trace.record("conserved").decoder
    for found, sign in (
        (capacities(trace, "conserved"), 1),
        (capacities(trace, "conserved", opposing=True), -1),
    ):
        for matrix, layer in zip(found.decoder, S):
            assert matrix == pytest.approx(np.maximum(sign * layer.astype(float), 0))


def test_a_list_of_texts_gives_what_each_gives_alone():
    model, words = tiny.build("bert-class"), tiny.wordpiece()
    texts = ["the cat sat", "the quick brown fox jumps over the dog"]
    for index, (trace,) in capture_each(model, texts, tokenizer=words, record="conserved"):
        alone = capture(model, texts[index], tokenizer=words, record="conserved")
        for a, b in zip(trace.record("conserved").encoder, alone.record("conserved").encoder):
            assert a == pytest.approx(b, abs=1e-5)


def test_what_has_no_norms_or_leaves_heads_out_is_refused():
    with pytest.raises(CaptureError, match="use 'relevance'"):
        capture(Decoder(), inputs={"ids": torch.tensor([IDS])}, record="conserved")
    with pytest.raises(OptionError, match="Expected heads='mean'"):
        shared(tiny.build("gpt2"), 3, heads=[0])


def test_flow_is_bounded_by_what_the_target_holds():
    result = explain(
        tiny.build("llama"), inputs={"input_ids": [IDS]}, output=7, method="flow", capacity="conserved"
    )
    assert result.scores.max() <= result.total[0] + 1e-9
