"""What is shared out adds up, and is what the rules say, computed by another way."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

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
def test_without_biases_the_last_layer_holds_the_whole_logit(family):
    trace = shared(tiny.build(family), 7)
    y = trace.provenance["outputs"][0]["value"]
    assert totals(trace.record("conserved").decoder)[-1] == pytest.approx(y, rel=1e-3)


def test_without_biases_an_encoder_holds_what_cross_attention_sends():
    model = tiny.build("t5")
    inputs = {"input_ids": [IDS], "decoder_input_ids": [[0, 4, 6]]}
    record = capture(model, inputs=inputs, record="conserved", target=2, output=11).record("conserved")
    assert totals(record.encoder)[-1] == pytest.approx(sum(totals(record.cross)), rel=1e-3)


def straight(norm, x):
    """A layer norm whose deviation is a constant."""
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt().detach() * norm.weight
        + norm.bias
    )


def sloped(f, x):
    return x * (f(x) / x).detach()


def half(x):
    """x, with half its gradient."""
    return x / 2 + x.detach() / 2


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_rows_are_what_positions_hold_by_another_propagation(family, monkeypatch):
    """The same rules as an attention function and as hooks, through every layer."""
    model = tiny.build(family)
    found = shared(model, 7).record("conserved").decoder
    states = []

    def attention(module, query, key, value, mask, scaling=None, **_):
        groups = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(groups, 1) for part in (key, value))
        scores = half(query) @ half(key).transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
        A = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
        return (half(A) @ half(value)).transpose(1, 2).contiguous(), A

    def norm(name, module, args, output):
        if name.endswith(("post_attention_layernorm", "ln_2")):
            states.append(args[0])
        if isinstance(module, torch.nn.LayerNorm):
            return straight(module, args[0])
        return args[0] * (output / args[0]).detach()

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "halves", attention)
    model.set_attn_implementation("halves")
    for name, module in model.named_modules():
        if "norm" in type(module).__name__.lower():
            module.register_forward_hook(partial(norm, name))
        elif name.endswith("act_fn"):  # gates
            module.register_forward_hook(lambda module, args, output: output.detach())
        elif name.endswith("act"):
            module.register_forward_hook(lambda module, args, output: sloped(module.forward, args[0]))
    y = model(torch.tensor([IDS])).logits[0, -1, 7]
    for S, z, slope in zip(found, states, torch.autograd.grad(y, states), strict=True):
        assert S.sum(1) == pytest.approx((z * slope).sum(-1)[0].detach().numpy(), abs=1e-3)


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
    # every query has keys of its own, less their mean, so that each edge's share can be told
    keys = (key - key.mean(1, keepdim=True))[:, None].expand(4, n, n, 8).detach().requires_grad_(True)
    A = torch.einsum("hqd,hqkd->hqk", half(query), half(keys) / math.sqrt(8)).softmax(-1)
    values = value[:, None].expand(4, n, n, 8).detach().requires_grad_(True)
    out = layer.attention.output
    mixed = torch.einsum("hqk,hqkd->hqd", half(A), half(values))
    z = out.dense(mixed.transpose(0, 1).reshape(n, 32)) + x
    h = straight(out.LayerNorm, z)
    h = straight(
        layer.output.LayerNorm,
        h + layer.output.dense(sloped(torch.nn.functional.gelu, layer.intermediate.dense(h))),
    )
    y = model.classifier(sloped(torch.tanh, bert.pooler.dense(h[0])))[2]
    gz, gk, gv = torch.autograd.grad(y, [z, keys, values])
    S = ((keys * gk).sum(-1) + (values * gv).sum(-1)).sum(0).detach().numpy()
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


def test_values_that_several_layers_share_pass_on_what_each_use_gets(monkeypatch):
    """Where queries and keys have as many heads, a family's `repeat_kv` hands on the very tensor."""
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig
    from transformers.models.gemma4 import modeling_gemma4

    config = Gemma4TextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, global_head_dim=16, num_kv_shared_layers=2,
        vocab_size_per_layer_input=100, hidden_size_per_layer_input=8, layer_types=["full_attention"] * 4,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Gemma4ForCausalLM(config).eval()
    found = shared(model, 7).record("conserved").decoder
    plain = modeling_gemma4.repeat_kv
    monkeypatch.setattr(modeling_gemma4, "repeat_kv", lambda states, times: plain(states, times) * 1)
    apart = shared(model, 7).record("conserved").decoder
    for one, other in zip(found, apart, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
        assert np.abs(one).max() > 1e-3
