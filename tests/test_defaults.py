"""What is taken where no method and no capacity is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from attnflow import explain
from attnflow.defaults import candidates, default_method
from attnflow.errors import CaptureError, OptionError
from tiny_torch import Decoder

TEXT = "the quick dog jumps"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("conserved", "relevance", "attention")),
        ({"asked": True}, ("conserved", "relevance")),
        ({"residual": "open"}, ("relevance", "attention")),
        ({"heads": [0, 1]}, ("relevance", "attention")),
        ({"residual": 0.5}, ("attention",)),
        ({"prefix": "closed"}, ("attention",)),
        ({"heads": "max"}, ("attention",)),
        ({"target": "mean"}, ("attention",)),
    ],
)
def test_the_rule(options, expected):
    assert candidates(["flow"], **options) == expected


def test_methods_of_attention_have_attention():
    assert candidates(["rollout"]) == candidates(["flow", "attention"]) == ("attention",)


def test_options_of_a_method_name_it():
    assert default_method() == "flow"
    assert default_method(sampled=True) == "shapley"
    assert default_method(barrier=True) == "central"
    result = explain(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), samples=8)
    assert (result.method, result.capacity) == ("shapley", "conserved")


@pytest.mark.parametrize(
    ("family", "tokenizer"), [("bert-class", tiny.wordpiece), ("gpt2", tiny.byte_bpe), ("t5", tiny.unigram)]
)
def test_a_model_with_an_output_is_asked_about_it(family, tokenizer):
    options = {"target_text": "the cat"} if family == "t5" else {}
    model, words = tiny.build(family), tokenizer()
    result = explain(model, TEXT, tokenizer=words, **options)
    named = explain(model, TEXT, tokenizer=words, method="flow", capacity="conserved", **options)
    assert (result.method, result.capacity, result.unit) == ("flow", "conserved", "logit")
    assert np.array_equal(result.scores, named.scores)
    assert not any("No capacity was named" in note for note in result.notes)


def test_a_headless_encoder_has_attention_and_says_why():
    result = explain(tiny.build("bert"), TEXT, tokenizer=tiny.wordpiece())
    assert result.capacity == "attention"
    (note,) = [note for note in result.notes if "No capacity was named" in note]
    assert "'conserved' cannot be had here" in note
    assert "no output to differentiate" in note


def test_another_model_has_relevance_and_says_why():
    result = explain(Decoder(), inputs={"ids": torch.tensor([[1, 2, 3, 4]])})
    assert result.capacity == "relevance"
    assert any("norms" in note for note in result.notes)


def test_what_is_named_is_never_replaced():
    with pytest.raises(CaptureError, match="output to differentiate"):
        explain(tiny.build("bert"), TEXT, tokenizer=tiny.wordpiece(), capacity="conserved")
    with pytest.raises(CaptureError, match="norms"):
        explain(Decoder(), inputs={"ids": torch.tensor([[1, 2, 3, 4]])}, capacity="conserved")


def test_the_closed_prefix_and_the_papers_flow():
    model, words = tiny.build("gpt2"), tiny.byte_bpe()
    closed = explain(model, "the cat", tokenizer=words, generate=2, prefix="closed")
    assert (closed.method, closed.capacity) == ("flow", "attention")
    plain = explain(model, TEXT, tokenizer=words, capacity="attention")
    assert (plain.method, plain.capacity, plain.residual) == ("flow", "attention", 0.5)


def test_every_text_of_a_list():
    results = explain(tiny.build("bert-class"), ["the cat sat", TEXT], tokenizer=tiny.wordpiece())
    assert [result.capacity for result in results] == ["conserved", "conserved"]


def test_conserved_takes_no_residual():
    with pytest.raises(OptionError, match="leave it out"):
        explain(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), capacity="conserved", residual=0.5)


def test_methods_beside_one_of_attention_say_why_they_are_on_it():
    both = explain("agreement", "The keys to the cabinet", method=["flow", "rollout"])
    assert {result.capacity for result in both} == {"attention"}
    assert all(any("'rollout' is of attention" in note for note in result.notes) for result in both)
    alone = explain("agreement", "The keys to the cabinet", method="rollout")
    assert not any("is of attention" in note for note in alone.notes)
    other = explain("agreement", "The keys to the cabinet", method=["flow", "rollout"], residual=0.5)
    assert not any("is of attention" in note for result in other for note in result.notes)
    named = explain("agreement", "The keys to the cabinet", method=["flow", "rollout"], capacity="attention")
    assert not any("is of attention" in note for result in named for note in result.notes)
