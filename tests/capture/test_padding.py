"""Padding is run as given, and never a player."""

import numpy as np
import pytest
import torch

import tiny
from attnflow.capture import capture

WORDS = [6, 9, 30, 12, 45]
LEFT = ({"input_ids": [0, 0, 0, *WORDS], "attention_mask": [0, 0, 0, 1, 1, 1, 1, 1]}, slice(3, 8))
RIGHT = ({"input_ids": [*WORDS, 0, 0, 0], "attention_mask": [1, 1, 1, 1, 1, 0, 0, 0]}, slice(0, 5))


@pytest.mark.parametrize("family", ["bert", "bert-mlm", "gpt2", "llama", "gemma3", "deberta-v2"])
@pytest.mark.parametrize(("inputs", "kept"), [LEFT, RIGHT])
def test_single_stack(family, inputs, kept):
    model = tiny.build(family)
    trace = capture(model, inputs=inputs)
    record = trace.record("attention")
    other = tiny.build(family)
    if family != "deberta-v2":
        other.set_attn_implementation("eager")
    with torch.no_grad():
        out = other(**{k: torch.tensor([v]) for k, v in inputs.items()}, output_attentions=True)
    for found, expected in zip(record.encoder + record.decoder, out.attentions):
        assert found.shape == (5, 5)
        np.testing.assert_allclose(found, expected[0].mean(0).numpy()[kept, kept], atol=2e-7)
    assert [token.id for token in trace.final_tokens] == WORDS
    if "gpt2" in family or "llama" in family:
        (decision,) = trace.decisions
        assert decision.positions == (4,)
        assert decision.id == int(out.logits[0, kept][-1].argmax())


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize(("inputs", "kept"), [LEFT, RIGHT])
def test_encoder_decoder(family, inputs, kept):
    model = tiny.build(family)
    inputs = {**inputs, "decoder_input_ids": [2, 7, 8, 1, 1], "decoder_attention_mask": [1, 1, 1, 0, 0]}
    trace = capture(model, inputs=inputs)
    other = tiny.build(family)
    other.set_attn_implementation("eager")
    with torch.no_grad():
        out = other(**{k: torch.tensor([v]) for k, v in inputs.items()}, output_attentions=True)
    record = trace.record("attention")
    for found, expected in zip(record.encoder, out.encoder_attentions):
        np.testing.assert_allclose(found, expected[0].mean(0).numpy()[kept, kept], atol=2e-7)
    for found, expected in zip(record.decoder, out.decoder_attentions):
        np.testing.assert_allclose(found, expected[0].mean(0).numpy()[:3, :3], atol=2e-7)
    for found, expected in zip(record.cross, out.cross_attentions):
        np.testing.assert_allclose(found, expected[0].mean(0).numpy()[:3, kept], atol=2e-7)
    assert [token.id for token in trace.decoder_tokens] == [2, 7, 8]
    best = int(out.logits[0, 2].argmax())
    assert [d.id for d in trace.decisions] == [7, 8, best]


def test_right_padding_changes_nothing():
    model = tiny.build("bert-class")
    padded, plain = capture(model, inputs=RIGHT[0]), capture(model, inputs={"input_ids": WORDS})
    for a, b in zip(padded.record("attention").encoder, plain.record("attention").encoder):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert padded.decisions[0].positions == (0,)
