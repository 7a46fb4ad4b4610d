"""Several inputs at once: each result is that of its input alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from attnflow import capture, explain
from attnflow.capture import batches, capture_each, capture_targets
from attnflow.errors import InputError, OptionError
from tiny_torch import Decoder

TEXTS = [
    "the quick brown fox",
    "a cat",
    "the keys to the cabinet are on the table",
    "who jumps over the cat? the quick dog, of course!",
    "dog",
]
CASES = [
    ("bert", "right"),
    ("bert-class", "right"),
    ("bert-tokens", "left"),
    ("roberta", "right"),
    ("modernbert-mean", "right"),
    ("gpt2", "left"),
    ("gpt2", "right"),
    ("gpt2-class", "right"),
    ("llama", "left"),
    ("t5", "right"),
    ("bart", "right"),
]


def tokenizer_of(family, side="right"):
    tokenizer = tiny.unigram(start=family == "llama") if family in ("t5", "llama") else tiny.wordpiece()
    tokenizer.padding_side = side
    return tokenizer


@pytest.fixture
def passes(monkeypatch):
    """Whether each batch was run together."""
    found = []
    original = batches.Crew._together

    def watched(self, started):
        together = original(self, started)
        found.append(together is not None)
        return together

    monkeypatch.setattr(batches.Crew, "_together", watched)
    return found


def assert_same(batched, alone, tolerance=1e-5):
    for name in (
        "architecture",
        "encoder_tokens",
        "decoder_tokens",
        "decides",
        "prompt",
        "text",
        "sinks",
        "heads",
    ):
        assert getattr(batched, name) == getattr(alone, name), name
    assert [(d.positions, d.label, d.id) for d in batched.decisions] == [
        (d.positions, d.label, d.id) for d in alone.decisions
    ]
    assert batched.records.keys() == alone.records.keys()
    for name, record in alone.records.items():
        for stack in ("encoder", "decoder", "cross"):
            layers = getattr(record, stack)
            largest = max([1e-3, *(float(np.abs(layer).max()) for layer in layers)])
            for found, layer in zip(getattr(batched.records[name], stack), layers, strict=True):
                np.testing.assert_allclose(found, layer, rtol=0, atol=tolerance * largest)
    for stack, values in alone.input_relevance.items():
        atol = tolerance * max(1e-2, float(np.abs(values).max()))
        np.testing.assert_allclose(batched.input_relevance[stack], values, rtol=0, atol=atol)


@pytest.mark.parametrize(("family", "side"), CASES)
def test_attention_is_that_of_each_alone(family, side, passes):
    model, tokenizer = tiny.build(family), tokenizer_of(family, side)
    traces = capture(model, TEXTS, tokenizer=tokenizer, batch_size=3)
    assert passes == [True, True]
    for text, trace in zip(TEXTS, traces, strict=True):
        assert_same(trace, capture(model, text, tokenizer=tokenizer))


@pytest.mark.parametrize(("family", "side"), [case for case in CASES if case[0] != "bert"])
def test_gradients_are_those_of_each_alone(family, side, passes):
    """Every output of every text, two of them at different numbers of targets per text."""
    model, tokenizer = tiny.build(family), tokenizer_of(family, side)
    options = {"tokenizer": tokenizer, "record": ["relevance", "attention-gradient", "gradient"]}
    if family == "roberta":
        options["targets"] = [1]
    found = dict(capture_each(model, TEXTS, batch_size=3, **options))
    assert passes == [True, True]
    for index, text in enumerate(TEXTS):
        alone = capture_targets(model, text, **options)
        for batched, single in zip(found[index], alone, strict=True):
            assert_same(batched, single, 1e-4)
            value = single.provenance["outputs"][0]["value"]
            assert batched.provenance["outputs"][0]["value"] == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_integrated_gradients_move_each_row_on_its_own_line(passes):
    model, tokenizer = tiny.build("bert-class"), tiny.wordpiece()
    options = {"tokenizer": tokenizer, "record": "relevance", "steps": 3}
    traces = capture(model, TEXTS[:3], **options)
    assert passes == [True]
    for text, trace in zip(TEXTS, traces):
        assert_same(trace, capture(model, text, **options), 1e-4)


def test_prompts_are_continued_each_on_its_own():
    model, tokenizer = tiny.build("gpt2"), tokenizer_of("gpt2")
    traces = capture(model, TEXTS[:3], tokenizer=tokenizer, generate=3)
    for text, trace in zip(TEXTS, traces):
        assert_same(trace, capture(model, text, tokenizer=tokenizer, generate=3))


def test_results_are_those_of_each_alone():
    model, tokenizer = tiny.build("bert-class"), tiny.wordpiece()
    told = []
    options = {
        "tokenizer": tokenizer,
        "capacity": ["attention", "relevance"],
        "method": "flow",
        "players": "words",
    }
    results = explain(model, TEXTS, batch_size=2, progress=lambda *news: told.append(news), **options)
    for text, comparison in zip(TEXTS, results, strict=True):
        for batched, alone in zip(comparison, explain(model, text, **options), strict=True):
            assert [player.label for player in batched.players] == [player.label for player in alone.players]
            np.testing.assert_allclose(batched.scores, alone.scores, rtol=1e-3, atol=1e-5)
    assert [news for news in told if news[0] == "explaining texts"] == [
        ("explaining texts", done, 5) for done in range(1, 6)
    ]


def test_a_family_in_which_padding_shows_is_run_one_by_one(passes, monkeypatch):
    """Positions that count padding on the left, as if the model were not told them."""
    model, tokenizer = tiny.build("gpt2"), tokenizer_of("gpt2", "left")
    original = batches.pad

    def untold(*args):
        padded = original(*args)
        padded.tensors.pop("position_ids", None)
        return padded

    monkeypatch.setattr(batches, "pad", untold)
    traces = capture(model, TEXTS, tokenizer=tokenizer, batch_size=3)
    assert passes == [False, False]
    for text, trace in zip(TEXTS, traces, strict=True):
        assert_same(trace, capture(model, text, tokenizer=tokenizer), 0)


@pytest.mark.parametrize("why", ["norm", "half"])
def test_what_cannot_be_run_together_is_run_one_by_one(why, passes):
    model, tokenizer = tiny.build("bert"), tiny.wordpiece()
    options = {"tokenizer": tokenizer, "record": "norm" if why == "norm" else "attention"}
    model = model.to(torch.bfloat16) if why == "half" else model
    traces = capture(model, TEXTS[:2], **options)
    assert passes == [False]
    for text, trace in zip(TEXTS, traces):
        assert_same(trace, capture(model, text, **options), 0)


def test_the_model_is_left_as_it_was_found():
    model, tokenizer = tiny.build("gpt2").train(), tokenizer_of("gpt2")
    implementation = model.config._attn_implementation
    capture(model, TEXTS, tokenizer=tokenizer)
    with pytest.raises(InputError):
        capture(model, [TEXTS[0], ""], tokenizer=tokenizer)
    assert model.training
    assert model.config._attn_implementation == implementation
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_models_of_ones_own_are_run_one_by_one():
    from attnflow import Reading, Token, register_model
    from attnflow.capture.custom import REGISTERED

    def read(model, tokenizer, text, target_text):
        ids = [len(word) for word in text.split()]
        return Reading(
            {"ids": torch.tensor([ids])},
            [Token(word, id) for word, id in zip(text.split(), ids, strict=True)],
        )

    register_model(Decoder, read=read)
    try:
        results = explain(Decoder(), TEXTS[:2])
        assert [len(result.players) for result in results] == [4, 2]
        with pytest.raises(InputError, match="Text 2 of 2"):
            explain(Decoder(), ["a cat", ""])
    finally:
        REGISTERED.pop(Decoder)


def test_bad_lists_and_sizes_are_refused():
    model, tokenizer = tiny.build("bert"), tiny.wordpiece()
    with pytest.raises(InputError, match="Text 2 of 3"):
        capture(model, ["a cat", " ", "dog"], tokenizer=tokenizer)
    with pytest.raises(InputError, match="Text 1 of 2: The input has"):
        capture(model, ["cat " * 60, "dog"], tokenizer=tokenizer)
    with pytest.raises(InputError, match="empty list"):
        capture(model, [], tokenizer=tokenizer)
    with pytest.raises(InputError, match="found int among others"):
        capture(model, ["a cat", 3], tokenizer=tokenizer)
    with pytest.raises(OptionError, match="batch_size=0"):
        capture(model, TEXTS, tokenizer=tokenizer, batch_size=0)
    with pytest.raises(OptionError, match="goes with a list"):
        capture(model, "a cat", tokenizer=tokenizer, batch_size=2)
    with pytest.raises(OptionError, match="Unknown option 'recrod'"):
        list(capture_each(model, TEXTS, tokenizer=tokenizer, recrod="norm"))
