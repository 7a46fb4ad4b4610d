"""Gradient records against plain autograd through eager attention."""

import numpy as np
import pytest
import torch
from test_as_found import same, snapshot, unusual

import tiny
from attnflow.capture import capture, capture_targets
from attnflow.errors import AttnflowError, CaptureError, OptionError

IDS = [6, 9, 30, 12, 45, 9, 17, 2]
GIVEN = [2, 7, 11, 13]
ALL = ("relevance", "attention-gradient", "gradient")
SINGLE = [
    "bert-class", "bert-tokens", "bert-mlm", "modernbert-mean", "albert", "distilbert", "gpt2", "gpt2-class", "llama",
    "gpt-oss", "gemma3", "deberta-v2", "gptj", "big-bird",
]  # fmt: skip
BOTH = ["t5", "bart", "marian"]
STACKS = {"encoder": "encoder_attentions", "decoder": "decoder_attentions", "cross": "cross_attentions"}


def y_of(outputs, trace):
    """The logit a trace is about, read anew from a model's outputs."""
    (asked,) = trace.provenance["outputs"]
    logits = outputs.logits[0]
    return logits[asked["id"]] if logits.ndim == 1 else logits[asked["positions"][0], asked["id"]]


def plain(model, inputs, trace):
    """Weights, their gradients, and x with its gradient, by retain_grad on what an eager run returns."""
    other = tiny.eager(model)
    tensors = {name: torch.tensor([value]) for name, value in inputs.items()}
    if model.config.model_type == "big_bird":  # replaces its attention modules in its first pass
        with torch.no_grad():
            other(**tensors)
    outputs = other(**tensors, output_attentions=True, output_hidden_states=True)
    if "decoder_input_ids" in inputs:
        weights = {stack: getattr(outputs, name) for stack, name in STACKS.items()}
        inner = {"encoder": outputs.encoder_hidden_states[0], "decoder": outputs.decoder_hidden_states[0]}
    else:
        weights = {trace.architecture: outputs.attentions}
        inner = {trace.architecture: outputs.hidden_states[0]}
    for tensor in (*(layer for layers in weights.values() for layer in layers), *inner.values()):
        tensor.retain_grad()
    y = y_of(outputs, trace)
    y.backward()
    found = {
        stack: [(layer[0].detach(), layer.grad[0]) for layer in layers] for stack, layers in weights.items()
    }
    relevance = {stack: (x * x.grad).sum(-1)[0].detach().numpy() for stack, x in inner.items()}
    return found, relevance, float(y.detach())


def agree(trace, model, inputs):
    expected, relevance, y = plain(model, inputs, trace)
    (asked,) = trace.provenance["outputs"]
    assert asked["value"] == pytest.approx(y, abs=1e-5)
    for stack, layers in expected.items():
        for name in ALL:
            assert len(getattr(trace.record(name), stack)) == len(layers)
        for index, (A, G) in enumerate(layers):
            at = {name: getattr(record, stack)[index] for name, record in trace.records.items()}
            close = {"atol": 2e-6, "rtol": 2e-4}
            np.testing.assert_allclose(at["attention"], A.mean(0), atol=1e-6)
            np.testing.assert_allclose(at["relevance"], (A * G).sum(0), **close)
            for name, product in (("attention-gradient", A * G), ("gradient", G * (A != 0))):
                np.testing.assert_allclose(at[name], product.clamp(min=0).mean(0), **close)
                np.testing.assert_allclose(at[f"{name}-opposing"], (-product).clamp(min=0).mean(0), **close)
    assert set(trace.input_relevance) == set(relevance)
    for stack, values in relevance.items():
        np.testing.assert_allclose(trace.input_relevance[stack], values, atol=2e-6, rtol=2e-4)


@pytest.mark.parametrize("family", SINGLE)
def test_single_stack(family):
    model = tiny.build(family)
    trace = capture_targets(model, inputs={"input_ids": IDS}, record=ALL)[-1]
    agree(trace, model, {"input_ids": IDS})


def test_weights_that_a_family_returns_as_copies(monkeypatch):
    """XLNet's returned attentions are no part of its graph; what its softmax makes is."""
    model, made = tiny.build("xlnet"), []
    trace = capture(model, inputs={"input_ids": IDS}, record="relevance")
    softmax = torch.nn.functional.softmax

    def noted(*args, **kwargs):
        made.append(softmax(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(torch.nn.functional, "softmax", noted)
    y = y_of(model(torch.tensor([IDS])), trace)
    for layer, A, G in zip(trace.record("relevance").encoder, made, torch.autograd.grad(y, made)):
        np.testing.assert_allclose(layer, (A * G)[0].sum(0).detach(), atol=2e-6, rtol=2e-4)


@pytest.mark.parametrize("family", BOTH)
def test_encoder_decoder(family):
    model = tiny.build(family)
    inputs = {"input_ids": IDS, "decoder_input_ids": GIVEN}
    for trace in capture_targets(model, inputs=inputs, record=ALL)[1:]:
        agree(trace, model, inputs)


def test_from_parts():
    model = tiny.encoder_decoder_from_parts()
    inputs = {"input_ids": IDS, "decoder_input_ids": GIVEN}
    agree(capture(model, inputs=inputs, record=ALL, target=-1), model, inputs)


def test_classifier_that_shifts_its_input_into_its_decoder():
    model = tiny.build("bart-class")
    trace = capture(model, inputs={"input_ids": [0, 6, 9, 30, 2]}, record="relevance")
    assert trace.decisions[0].positions == (4,)
    assert trace.record("relevance").cross[0].shape == (5, 5)
    assert set(trace.input_relevance) == {"encoder", "decoder"}


@pytest.mark.parametrize("family", ["bert-class", "llama"])
def test_an_entry_is_what_y_gains_when_the_weight_grows(family, monkeypatch):
    model = tiny.build(family).double()
    trace = capture(model, inputs={"input_ids": IDS}, record="relevance")
    layers = trace.record("relevance").encoder + trace.record("relevance").decoder
    module = __import__(type(model).__module__, fromlist=["x"])
    eager = module.eager_attention_forward
    other = tiny.eager(model)
    step = 1e-4 if family == "bert-class" else 1e-3  # Llama's softmax is float32 in every dtype

    def y(layer, q, k, factor):
        calls = iter(range(100))

        def scaled(attention, query, key, value, *args, **kwargs):
            output, weights = eager(attention, query, key, value, *args, **kwargs)
            if next(calls) != layer:
                return output, weights
            groups = weights.shape[1] // value.shape[1]
            sent = weights[0, :, q, k, None] * value[0].repeat_interleave(groups, 0)[:, k]
            output = output.clone()
            output[0, q] += (factor - 1) * sent
            return output, weights

        monkeypatch.setattr(module, "eager_attention_forward", scaled)
        with torch.no_grad():
            return float(y_of(other(input_ids=torch.tensor([IDS])), trace))

    for layer, q, k in [(0, 0, 0), (0, 5, 3), (1, 7, 1), (1, 4, 4), (2, trace.decisions[0].positions[0], 0)]:
        slope = (y(layer, q, k, 1 + step) - y(layer, q, k, 1 - step)) / (2 * step)
        assert layers[layer][q, k] == pytest.approx(slope, rel=50 * step, abs=1e-3 * step)


def test_support_less_opposition_is_relevance():
    trace = capture(tiny.build("bert-class"), inputs={"input_ids": IDS}, record=ALL)
    parts = [trace.record(name).encoder for name in ("attention-gradient", "attention-gradient-opposing")]
    for supporting, opposing, relevance in zip(*parts, trace.record("relevance").encoder):
        np.testing.assert_allclose(4 * (supporting - opposing), relevance, atol=1e-6)


def test_heads():
    model = tiny.build("bert-class")
    trace = capture(model, inputs={"input_ids": IDS}, record=ALL, heads=[1, 3])
    expected = plain(model, {"input_ids": IDS}, trace)[0]["encoder"]
    for (A, G), S, R in zip(
        expected, trace.record("relevance").encoder, trace.record("attention-gradient").encoder
    ):
        np.testing.assert_allclose(S, (A * G)[[1, 3]].sum(0), atol=1e-6)
        np.testing.assert_allclose(R, (A * G)[[1, 3]].clamp(min=0).mean(0), atol=1e-6)
    for heads in ("max", "all"):
        with pytest.raises(OptionError, match="heads"):
            capture(model, inputs={"input_ids": IDS}, record="relevance", heads=heads)


def test_padding_is_cropped():
    model = tiny.build("bert-class")
    whole = capture(model, inputs={"input_ids": IDS}, record=ALL)
    padded = {"input_ids": [0, 0, *IDS, 0], "attention_mask": [0, 0] + [1] * 8 + [0]}
    padded["position_ids"] = [0, 0, *range(8), 0]
    model.bert.pooler.forward = lambda hidden: model.bert.pooler.activation(
        model.bert.pooler.dense(hidden[:, -9 if hidden.shape[1] == 11 else 0])
    )
    cropped = capture(model, inputs=padded, record=ALL)
    for name in whole.records:
        for a, b in zip(whole.record(name).encoder, cropped.record(name).encoder):
            np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(
        whole.input_relevance["encoder"], cropped.input_relevance["encoder"], atol=1e-5
    )


# -- what y is -------------------------------------------------------------------------------------------


def test_a_contrast_is_the_difference_of_its_logits():
    model = tiny.build("bert-class")
    a, b, both, pair = (
        capture(model, inputs={"input_ids": IDS}, record="relevance", output=output)
        for output in (2, "LABEL_0", ("label_2", 0), [0, 2])
    )
    for one, other, contrast, turned in zip(*(t.record("relevance").encoder for t in (a, b, both, pair))):
        np.testing.assert_allclose(one - other, contrast, atol=1e-6)
        np.testing.assert_allclose(turned, -contrast, atol=1e-7)
    assert both.decisions[0].label == "LABEL_2 − LABEL_0"
    assert both.decisions[0].probability is None
    assert both.provenance["outputs"][0]["id"] == [2, 0]
    assert b.decisions[0].probability < a.decisions[0].probability


def test_targets_of_a_decoder():
    model = tiny.build("gpt2")
    traces = capture_targets(model, inputs={"input_ids": IDS}, targets="all")
    assert [trace.provenance["outputs"][0]["id"] for trace in traces[:-1]] == IDS[1:]
    assert [trace.decisions[0].positions for trace in traces] == [(index,) for index in range(8)]
    assert [trace.decisions[0].label for trace in traces] == list(traces[0].decides)
    one = capture(model, inputs={"input_ids": IDS}, record="relevance", target=-4)
    for a, b in zip(one.record("relevance").decoder, traces[4].record("relevance").decoder):
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert not b[5:].any()
        assert not np.triu(b, 1).any()
    other = capture(model, inputs={"input_ids": IDS}, record="relevance", target=4, output=11)
    assert other.decisions[0].id == 11


def test_generated_tokens_are_targets_of_their_own():
    model = tiny.build("t5", num_decoder_layers=2)
    traces = capture_targets(model, inputs={"input_ids": IDS}, generate=3, record=ALL)
    assert len(traces) == len(traces[0].decoder_tokens) > 1
    inputs = {"input_ids": IDS, "decoder_input_ids": [token.id for token in traces[0].decoder_tokens]}
    for trace in traces:
        agree(trace, model, inputs)
    with pytest.raises(OptionError, match="target="):
        capture(model, inputs={"input_ids": IDS}, generate=3, record="relevance")


def test_a_set_shares_one_class():
    model = tiny.build("bert-class")
    one = capture(model, inputs={"input_ids": IDS}, record="relevance")
    several = capture(model, inputs={"input_ids": IDS}, record="relevance", target=list(range(8)))
    assert several.decisions[0].positions == tuple(range(8))
    assert several.decisions[0].label == one.decisions[0].label
    assert np.array_equal(several.record("relevance").encoder[1], one.record("relevance").encoder[1])
    with pytest.raises(OptionError, match="no one output"):
        capture(tiny.build("gpt2"), inputs={"input_ids": IDS}, record="relevance", target=[3, 4])


def test_tokens_by_text():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()

    def ask(output):
        return capture(model, "the cat", tokenizer=tokenizer, record="relevance", output=output)

    assert ask(" dog").decisions[0].label == "dog"
    assert ask(" dog").decisions[0].id == tokenizer.encode(" dog")[0]
    with pytest.raises(OptionError, match="two tokens"):
        ask("t")
    with pytest.raises(OptionError, match="no single token"):
        ask("xylophone")
    with pytest.raises(OptionError, match="itself"):
        ask((" dog", " dog"))
    pair = ask((" dog", " table"))
    assert pair.decisions[0].label == "dog − table"
    with pytest.raises(OptionError, match="tokenizer"):
        capture(model, inputs={"input_ids": IDS}, record="relevance", output="dog")


def test_answers():
    model = tiny.build("bert-answers")
    start, end = capture_targets(model, inputs={"input_ids": IDS})
    assert [trace.decisions[0].label for trace in (start, end)] == ["answer start", "answer end"]
    again = capture(model, inputs={"input_ids": IDS}, record="relevance", target=end.decisions[0].positions[0],
                    output="answer end")  # fmt: skip
    assert np.array_equal(again.record("relevance").encoder[0], end.record("relevance").encoder[0])
    with pytest.raises(OptionError, match="answer start"):
        capture(model, inputs={"input_ids": IDS}, record="relevance", target=3)


@pytest.mark.parametrize(
    ("family", "options", "error", "match"),
    [
        ("bert", {}, CaptureError, "no output to differentiate"),
        ("t5-headless", {}, CaptureError, "no output to differentiate"),
        ("bert-class", {"output": "LABEL_9"}, OptionError, "LABEL_9.*0 'LABEL_0'"),
        ("bert-class", {"output": 3}, OptionError, "0 to 2"),
        ("bert-class", {"output": True}, OptionError, "0 to 2"),
        ("bert-class", {"output": (0, 1, 2)}, OptionError, "pair"),
        ("bert-class", {"output": (1, 1)}, OptionError, "itself"),
        ("bert-class", {"target": 8}, OptionError, "-8 to 7"),
        ("bert-class", {"target": [1, 1]}, OptionError, "distinct"),
        ("bert-class", {"target": []}, OptionError, "distinct"),
        ("bert-class", {"steps": 0}, OptionError, "steps=0"),
        ("bert-class", {"steps": 2, "baseline": "mean"}, OptionError, "mask, pad, zero"),
        ("bert-class", {"steps": 2, "baseline": "mask"}, OptionError, "no mask token"),
        ("bert-class", {"baseline": "zero"}, OptionError, "steps=1"),
        ("bert-class", {"record": "attention", "output": 1}, OptionError, "same whatever output"),
        ("bert-class", {"record": "norm", "steps": 3}, OptionError, "same whatever output"),
        ("bert-class", {"record": ["attention"], "target": 0}, OptionError, "same whatever output"),
    ],
)
def test_refusals(family, options, error, match):
    with pytest.raises(error, match=match) as caught:
        capture(tiny.build(family), inputs={"input_ids": IDS}, **{"record": "relevance", **options})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


# -- steps -----------------------------------------------------------------------------------------------


def along(model, embeddings, base, moving, steps, y, attentions):
    """Averages of A * dy/dA per layer, heads apart, over a line of `inputs_embeds`."""
    sums = None
    for step in range(1, steps + 1):
        point = embeddings.detach().clone()
        point[0, moving] = base + step / steps * (point[0, moving] - base)
        outputs = model(point)
        layers = attentions(outputs)
        gradients = torch.autograd.grad(y(outputs), layers)
        parts = [(A * G)[0].detach() / steps for A, G in zip(layers, gradients)]
        sums = parts if sums is None else [a + b for a, b in zip(sums, parts)]
    return sums


@pytest.mark.parametrize("baseline", [None, "mask", "pad", "zero"])
def test_steps_of_a_classifier(baseline):
    model, tokenizer = tiny.build("bert-class"), tiny.wordpiece()
    trace = capture(model, "the quick fox jumps", tokenizer=tokenizer, record=ALL, steps=4, baseline=baseline)
    other = tiny.eager(model)
    word = other.get_input_embeddings()
    ids = [token.id for token in trace.encoder_tokens]
    moving = [index for index, token in enumerate(trace.encoder_tokens) if not token.special]
    assert 0 not in moving
    base = {"mask": word.weight[4], "pad": word.weight[0], "zero": torch.zeros(32)}[baseline or "mask"]
    expected = along(
        lambda x: other(inputs_embeds=x, output_attentions=True), word(torch.tensor([ids])), base.detach(), moving, 4,
        lambda outputs: outputs.logits[0, trace.decisions[0].id], lambda outputs: outputs.attentions,
    )  # fmt: skip
    for product, S, R in zip(
        expected, trace.record("relevance").encoder, trace.record("attention-gradient").encoder
    ):
        np.testing.assert_allclose(S, product.sum(0), atol=2e-6)
        np.testing.assert_allclose(R, product.clamp(min=0).mean(0), atol=2e-6)
    options = trace.provenance["options"]
    assert options["steps"] == 4
    assert options["baseline"].startswith(baseline or "mask")


def test_steps_move_the_encoder_only():
    model = tiny.build("t5")
    inputs = {"input_ids": IDS, "decoder_input_ids": GIVEN}
    trace = capture(model, inputs=inputs, record="relevance", target=-1, steps=3, baseline="zero")
    other = tiny.eager(model)
    given = torch.tensor([GIVEN])
    expected = along(
        lambda x: other(inputs_embeds=x, decoder_input_ids=given, output_attentions=True),
        other.get_input_embeddings()(torch.tensor([IDS])), torch.zeros(32), list(range(8)), 3,
        lambda outputs: outputs.logits[0, 3, trace.decisions[0].id],
        lambda outputs: (*outputs.encoder_attentions, *outputs.decoder_attentions, *outputs.cross_attentions),
    )  # fmt: skip
    record = trace.record("relevance")
    for product, S in zip(expected, (*record.encoder, *record.decoder, *record.cross)):
        np.testing.assert_allclose(S, product.sum(0), atol=2e-6)


def test_one_step_is_plain():
    model = tiny.build("llama")
    one, plain = (
        capture(model, inputs={"input_ids": IDS}, record=ALL, **options) for options in ({"steps": 1}, {})
    )
    for name in one.records:
        assert all(np.array_equal(a, b) for a, b in zip(one.record(name).decoder, plain.record(name).decoder))


def test_steps_off_the_interface():
    model = tiny.build("deberta-v2")
    one, three = (capture(model, inputs={"input_ids": IDS}, record="relevance", steps=k) for k in (1, 3))
    assert not np.allclose(one.record("relevance").encoder[0], three.record("relevance").encoder[0])


def test_steps_need_ids():
    embeddings = torch.randn(1, 5, 32)
    trace = capture(tiny.build("bert-class"), inputs={"inputs_embeds": embeddings}, record="relevance")
    assert len(trace.encoder_tokens) == 5
    with pytest.raises(OptionError, match="input ids"):
        capture(tiny.build("bert-class"), inputs={"inputs_embeds": embeddings}, record="relevance", steps=2)


@pytest.mark.parametrize("wanted", [False, True])
def test_a_tensor_of_the_callers_is_left_alone(wanted):
    embeddings = torch.randn(1, 5, 32, requires_grad=wanted)  # what llama's first layer is handed
    before = embeddings.detach().clone()
    trace = capture(tiny.build("llama"), inputs={"inputs_embeds": embeddings}, record="relevance")
    assert trace.input_relevance["decoder"].any()
    assert embeddings.requires_grad is wanted
    assert embeddings.grad is None
    assert torch.equal(embeddings, before)


# -- circumstances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family", ["bert-class", "albert", "gpt2", "llama", "t5", "mbart", "deberta-v2", "gptj", "big-bird"]
)
@pytest.mark.parametrize("steps", [1, 2])
def test_the_model_is_left_as_found(family, steps):
    model = unusual(family)
    before = snapshot(model)
    capture_targets(
        model, inputs={"input_ids": IDS}, record=(*ALL, *(["norm"] if family == "gpt2" else [])), steps=steps
    )
    same(before, snapshot(model))


@pytest.mark.parametrize("family", ["bert-class", "t5", "deberta-v2"])
def test_the_model_is_left_as_found_after_an_error_in_the_backward_pass(family, monkeypatch):
    from attnflow.capture import gradients

    def fail(A, G):
        raise RuntimeError("midway")

    monkeypatch.setitem(gradients.GRADIENTS, "relevance", gradients.GradientRecord(fail, lambda S: {}))
    model = unusual(family)
    before = snapshot(model)
    with pytest.raises(AttnflowError, match="midway"):
        capture(model, inputs={"input_ids": IDS}, record="relevance", target=0)
    same(before, snapshot(model))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("family", ["bert-class", "gpt2"])
def test_whatever_gradient_mode_the_caller_is_in(family, mode):
    model = tiny.build(family)
    expected = capture(model, inputs={"input_ids": IDS}, record="relevance")
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = capture(model, inputs={"input_ids": torch.tensor([IDS])}, record="relevance", steps=1)
        assert before == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    stacks = [t.record("relevance").encoder + t.record("relevance").decoder for t in (expected, found)]
    assert all(np.array_equal(a, b) for a, b in zip(*stacks))


def test_weights_made_in_inference_mode_are_refused():
    with torch.inference_mode():
        model = tiny.build("bert-class")
    capture(model, inputs={"input_ids": IDS})
    with pytest.raises(CaptureError, match="inference_mode"):
        capture(model, inputs={"input_ids": IDS}, record="relevance")


@pytest.mark.parametrize("family", ["bert-class", "gpt2", "t5", "deberta-v2"])
def test_frozen_weights(family):
    model = tiny.build(family)
    expected = capture_targets(model, inputs={"input_ids": IDS})[0]
    model.requires_grad_(False)
    found = capture_targets(model, inputs={"input_ids": IDS})[0]
    for stack in ("encoder", "decoder", "cross"):
        for a, b in zip(
            getattr(expected.record("relevance"), stack), getattr(found.record("relevance"), stack)
        ):
            np.testing.assert_allclose(a, b, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_gradient_checkpointing():
    model = tiny.build("bert-class")
    expected = capture(model, inputs={"input_ids": IDS}, record="relevance")
    model.train()
    model.gradient_checkpointing_enable()
    found = capture(model, inputs={"input_ids": IDS}, record="relevance")
    assert np.array_equal(expected.record("relevance").encoder[0], found.record("relevance").encoder[0])
    assert model.is_gradient_checkpointing


def test_half_precision():
    model = tiny.build("llama")
    expected = capture(model, inputs={"input_ids": IDS}, record="relevance", output=5)
    found = capture(model.to(torch.bfloat16), inputs={"input_ids": IDS}, record="relevance", output=5)
    for a, b in zip(expected.record("relevance").decoder, found.record("relevance").decoder):
        assert b.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=0.1 * np.abs(a).max())


def test_double_precision():
    trace = capture(tiny.build("gpt2").double(), inputs={"input_ids": IDS}, record="relevance")
    assert trace.record("relevance").decoder[0].dtype == np.float64


def test_layers_without_attention():
    model = tiny.build("jamba")
    trace = capture(model, inputs={"input_ids": IDS}, record="relevance", allow_partial=True)
    assert len(trace.record("relevance").decoder) == 4
    from attnflow.capacity import capacities

    assert capacities(trace, "relevance").residual == "open"
    with pytest.raises(OptionError, match="residual='open'"):
        capacities(trace, "relevance", residual=0)


def test_one_gradient_of_one_layer_is_held_at_a_time():
    import gc
    import weakref

    held = []
    from attnflow.capture import gradients

    product = gradients.GRADIENTS["relevance"].product
    seen = []

    def watch(A, G):
        gc.collect()
        seen.append(sum(ref() is not None for ref in held))
        held.append(weakref.ref(G))
        return product(A, G)

    gradients.GRADIENTS["relevance"], found = (
        gradients.GradientRecord(watch, gradients.GRADIENTS["relevance"].finish),
        gradients.GRADIENTS["relevance"],
    )
    try:
        capture(tiny.build("bert-class"), inputs={"input_ids": IDS}, record="relevance")
    finally:
        gradients.GRADIENTS["relevance"] = found
    assert seen == [0, 0, 0]


def test_saved_and_loaded(tmp_path):
    from attnflow.trace import Trace

    trace = capture(tiny.build("bert-class"), inputs={"input_ids": IDS}, record=ALL, output=(0, 1))
    trace.save(tmp_path / "t")
    again = Trace.load(tmp_path / "t")
    assert again.provenance["outputs"] == trace.provenance["outputs"]
    assert np.array_equal(again.input_relevance["encoder"], trace.input_relevance["encoder"])
    assert set(again.records) == set(trace.records)
