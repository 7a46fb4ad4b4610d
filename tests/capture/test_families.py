"""Every family, loaded with its default attention, against its own eager attentions."""

import numpy as np
import pytest
import torch

import tiny
from attnflow.capture import capture
from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.records import keep_attention, parse_heads
from attnflow.capture.state import as_found
from tiny import eager

IDS = [6, 9, 30, 12, 45, 9, 17, 2]
INTERFACE = [
    "bert", "bert-mlm", "bert-class", "bert-tokens", "bert-answers", "roberta", "modernbert", "modernbert-mean",
    "albert", "distilbert", "gpt2", "gpt2-headless", "gpt2-class", "llama", "llama-class", "gpt-oss", "gemma3",
    "t5-encoder",
]  # fmt: skip
EAGER = ["deberta-v2", "xlnet", "gptj", "bloom", "falcon", "big-bird"]
BOTH = ["t5", "t5-headless", "bart", "mbart", "marian"]


def run(model, **inputs):
    tensors = {name: torch.tensor([value]) for name, value in inputs.items()}
    with torch.no_grad():
        if model.config.model_type == "big_bird":  # replaces its attention modules in its first pass
            model(**tensors)
        return model(**tensors, output_attentions=True)


def agree(layers, attentions, reduce=lambda a: a[0].mean(0)):
    assert len(layers) == len(attentions) > 0
    for found, expected in zip(layers, attentions):
        np.testing.assert_allclose(found, reduce(expected).numpy(), atol=2e-7)


@pytest.mark.parametrize("family", INTERFACE + EAGER)
def test_single_stack(family):
    model = tiny.build(family)
    trace = capture(model, inputs={"input_ids": IDS})
    expected = run(eager(model), input_ids=IDS).attentions
    record = trace.record("attention")
    agree(record.encoder + record.decoder, expected)
    decoders = {
        "gpt2",
        "gpt2-headless",
        "gpt2-class",
        "llama",
        "llama-class",
        "gpt-oss",
        "gemma3",
        "gptj",
        "bloom",
        "falcon",
    }
    assert trace.architecture == ("decoder" if family in decoders else "encoder")
    assert trace.sinks == (family == "gpt-oss")
    assert len(trace.final_tokens) == len(IDS)


@pytest.mark.parametrize("family", INTERFACE + EAGER)
def test_one_position_has_the_architecture_of_many(family):
    model = tiny.build(family)
    many, one = (capture(model, inputs={"input_ids": ids}) for ids in (IDS, [7]))
    assert one.architecture == many.architecture


@pytest.mark.parametrize("family", BOTH)
def test_encoder_decoder(family):
    model = tiny.build(family)
    ids = {"input_ids": IDS, "decoder_input_ids": [2, 7, 11, 13, 40]}
    trace = capture(model, inputs=ids)
    expected = run(eager(model), **ids)
    agree(trace.record("attention").encoder, expected.encoder_attentions)
    agree(trace.record("attention").decoder, expected.decoder_attentions)
    agree(trace.record("attention").cross, expected.cross_attentions)
    assert trace.architecture == "encoder-decoder"


@pytest.mark.parametrize("size", [1, 2, 8])
@pytest.mark.parametrize("family", ["t5", "bart", "mbart", "marian"])
def test_self_and_cross_attention_of_equal_size(family, size):
    model = tiny.build(family)
    ids = {"input_ids": IDS[:size], "decoder_input_ids": [2, 7, 11, 13, 40, 8, 9, 10][:size]}
    trace = capture(model, inputs=ids)
    expected = run(eager(model), **ids)
    agree(trace.record("attention").decoder, expected.decoder_attentions)
    agree(trace.record("attention").cross, expected.cross_attentions)


def test_encoder_decoder_from_parts():
    model = tiny.encoder_decoder_from_parts()
    ids = {"input_ids": IDS, "decoder_input_ids": [2, 7, 11]}
    trace = capture(model, inputs=ids)
    expected = run(eager(model), **ids)
    agree(trace.record("attention").encoder, expected.encoder_attentions)
    agree(trace.record("attention").decoder, expected.decoder_attentions)
    agree(trace.record("attention").cross, expected.cross_attentions)


def test_classifier_that_shifts_its_input_into_its_decoder():
    model = tiny.build("bart-class")
    ids = [0, 6, 9, 30, 2]
    trace = capture(model, inputs={"input_ids": ids})
    expected = run(eager(model), input_ids=ids)
    agree(trace.record("attention").cross, expected.cross_attentions)
    assert [token.id for token in trace.decoder_tokens] == [2, 0, 6, 9, 30]
    assert trace.prompt == 5
    assert trace.decisions[0].positions == (4,)
    assert trace.decisions[0].id == int(expected.logits.argmax())


@pytest.mark.parametrize("family", [*INTERFACE, "t5", "bart"])
def test_outputs_are_those_of_the_eager_run(family):
    model = tiny.build(family)
    ids = {"input_ids": torch.tensor([IDS])}
    if family in BOTH:
        ids["decoder_input_ids"] = torch.tensor([[2, 7, 11]])
    with as_found(model):
        found = run_listening(model, ids, Recorder(model, keep_attention, parse_heads("mean")))
    with torch.no_grad():
        expected = eager(model)(**ids)
    for name in ("logits", "last_hidden_state", "start_logits"):
        if getattr(expected, name, None) is not None:
            assert torch.equal(found[name], expected[name])


def test_sliding_window_is_full_shape_with_zeros():
    trace = capture(tiny.build("gemma3"), inputs={"input_ids": IDS})
    sliding, full, _ = trace.record("attention").decoder
    assert sliding[-1, 0] == 0
    assert full[-1, 0] > 0


def test_sinks_leave_rows_below_one():
    trace = capture(tiny.build("gpt-oss"), inputs={"input_ids": IDS})
    assert trace.sinks
    assert trace.record("attention").decoder[0].sum(-1).min() < 0.99


def test_heads():
    model = tiny.build("bert")
    expected = run(eager(model), input_ids=IDS).attentions
    layers = capture(model, inputs={"input_ids": IDS}, heads="all").record("attention").encoder
    agree(layers, expected, lambda a: a[0])
    trace = capture(model, inputs={"input_ids": IDS}, heads=[0, 2])
    agree(trace.record("attention").encoder, expected, lambda a: a[0, [0, 2]].mean(0))
    assert trace.heads == "mean of 0, 2"
    layers = capture(model, inputs={"input_ids": IDS}, heads="max").record("attention").encoder

    def largest(a):
        most = a[0].amax(0)
        return most / most.sum(-1, keepdim=True)

    agree(layers, expected, largest)


def test_half_precision():
    trace = capture(tiny.build("llama").to(torch.bfloat16), inputs={"input_ids": IDS})
    assert trace.dtype == "bfloat16"
    assert trace.record("attention").decoder[0].dtype == np.float32


def test_double_precision():
    trace = capture(tiny.build("gpt2").double(), inputs={"input_ids": IDS})
    assert trace.record("attention").decoder[0].dtype == np.float64
