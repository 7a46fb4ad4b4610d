"""Predictions asked again with tokens hidden, against the model called by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from attnflow.capture import capture
from attnflow.errors import InputError, OptionError
from attnflow.evaluate.prediction import of_trace, prediction

TEXT = "the quick dog jumps"


@pytest.fixture(scope="module")
def classifier():
    return prediction(tiny.build("bert-class"), TEXT, tokenizer=tiny.wordpiece())


@pytest.fixture(scope="module")
def language():
    return prediction(tiny.build("llama"), TEXT, tokenizer=tiny.unigram(start=True))


@pytest.fixture(scope="module")
def translator():
    return prediction(
        tiny.build("bart"), TEXT, tokenizer=tiny.byte_bpe(roberta=True), target_text="a cat sat", target=2
    )


def asked(model, **inputs):
    with torch.no_grad():
        return model(**{name: torch.tensor([value]) for name, value in inputs.items()}).logits


def all_but(made, *hidden):
    shown = np.ones((1, made.players), bool)
    shown[0, list(hidden)] = False
    return shown


def test_masking_a_classifiers_input(classifier):
    ids = list(classifier.ids)
    ids[2] = ids[4] = classifier.tokenizer.mask_token_id
    logits = asked(classifier.model, input_ids=ids)[0]
    (found,) = classifier.values(all_but(classifier, 2, 4))
    assert found == pytest.approx(float(logits.softmax(-1)[classifier.output[0]]), abs=1e-6)
    (found,) = classifier.values(all_but(classifier, 2, 4), scale="logit")
    assert found == pytest.approx(float(logits[classifier.output[0]]), abs=1e-5)
    assert classifier.position is None
    assert classifier.replaced_by == "mask"


def test_deleting_from_a_classifiers_input(classifier):
    ids = [id for place, id in enumerate(classifier.ids) if place not in (1, 3)]
    logits = asked(classifier.model, input_ids=ids)[0]
    (found,) = classifier.values(all_but(classifier, 1, 3), hide="delete")
    assert found == pytest.approx(float(logits.softmax(-1)[classifier.output[0]]), abs=1e-6)


def test_special_tokens_are_never_hidden(classifier):
    assert classifier.fixed.tolist() == [True, *[False] * (classifier.players - 2), True]
    everything, nothing = np.ones((1, classifier.players), bool), np.zeros((1, classifier.players), bool)
    frame = nothing.copy()
    frame[0, [0, -1]] = True
    assert classifier.values(nothing) == classifier.values(frame)
    assert classifier.values(everything) != classifier.values(frame)


def test_deleting_moves_the_position_that_decides(language):
    assert language.position == language.players - 1
    ids = [id for place, id in enumerate(language.ids) if place not in (2, language.position)]
    logits = asked(language.model, input_ids=ids)[0, -1]
    (found,) = language.values(all_but(language, 2, language.position), hide="delete")
    assert found == pytest.approx(float(logits.softmax(-1)[language.output[0]]), abs=1e-6)


def test_variants_of_different_lengths_come_back_in_order(language):
    rng = np.random.default_rng(0)
    shown = rng.random((17, language.players)) < 0.6
    together = language.values(shown, hide="delete")
    single = [language.values(row[None], hide="delete")[0] for row in shown]
    assert together == pytest.approx(np.array(single), abs=1e-6)


def test_a_decoders_later_tokens_are_no_question():
    made = prediction(tiny.build("llama"), TEXT, tokenizer=tiny.unigram(start=True), target=3)
    assert made.hideable.tolist() == [1, 2, 3]
    later = all_but(made, *range(4, made.players))
    assert made.values(later) == pytest.approx(made.values(all_but(made)), abs=1e-6)


def test_both_sides_of_an_encoder_decoder(translator):
    source, m = translator.source, translator.decoder
    assert translator.players == source + m
    ids = list(translator.ids)
    ids[1] = ids[source + 2] = translator.tokenizer.mask_token_id
    logits = asked(translator.model, input_ids=ids[:source], decoder_input_ids=ids[source:])[0, 2]
    (found,) = translator.values(all_but(translator, 1, source + 2))
    assert found == pytest.approx(float(logits.softmax(-1)[translator.output[0]]), abs=1e-6)
    kept = [id for place, id in enumerate(translator.ids) if place not in (1, source + 2)]
    logits = asked(translator.model, input_ids=kept[: source - 1], decoder_input_ids=kept[source - 1 :])[0, 1]
    (found,) = translator.values(all_but(translator, 1, source + 2), hide="delete")
    assert found == pytest.approx(float(logits.softmax(-1)[translator.output[0]]), abs=1e-6)


def test_a_contrast_is_a_difference_of_logits_and_a_chance_of_two():
    made = prediction(tiny.build("bert-class"), TEXT, tokenizer=tiny.wordpiece(), output=(2, 0))
    logits = asked(made.model, input_ids=list(made.ids))[0]
    every = np.ones((1, made.players), bool)
    assert made.values(every, scale="logit")[0] == pytest.approx(float(logits[2] - logits[0]), abs=1e-5)
    chance = float(logits[[2, 0]].softmax(-1)[0])
    assert made.values(every)[0] == pytest.approx(chance, abs=1e-6)


def test_segments_of_a_pair_move_with_its_tokens():
    made = prediction(tiny.build("bert-class"), ("the cat", "a dog"), tokenizer=pairs(), output=1)
    assert made.beside == {"token_type_ids": (0, 0, 0, 0, 1, 1, 1)}
    ids, kinds = list(made.ids), list(made.beside["token_type_ids"])
    del ids[2], kinds[2]
    logits = asked(made.model, input_ids=ids, token_type_ids=kinds)[0]
    (found,) = made.values(all_but(made, 2), hide="delete")
    assert found == pytest.approx(float(logits.softmax(-1)[1]), abs=1e-6)


def pairs():
    from tokenizers import processors

    words = tiny.wordpiece()
    words.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return words


def test_the_model_is_left_as_it_was(classifier):
    model = classifier.model
    model.train()
    try:
        first = classifier.values(all_but(classifier, 1))
        assert model.training
        assert first == classifier.values(all_but(classifier, 1))
        assert all(parameter.grad is None for parameter in model.parameters())
    finally:
        model.eval()


def test_what_cannot_be_asked_is_refused(classifier):
    with pytest.raises(OptionError, match="way of hiding"):
        classifier.values(all_but(classifier), hide="blur")
    with pytest.raises(OptionError, match="scale"):
        classifier.values(all_but(classifier), scale="odds")
    model, words = tiny.build("gpt2", pad_token_id=None), tiny.byte_bpe()
    bare = prediction(model, TEXT, tokenizer=words)
    assert bare.replacement is None
    with pytest.raises(OptionError, match="hide by 'delete'"):
        bare.values(all_but(bare, 1))
    assert bare.fixed.tolist() == [*[False] * (bare.players - 1), True]  # something must be left that decides
    source = prediction(
        tiny.build("t5"), inputs={"input_ids": [[5, 6, 7]], "decoder_input_ids": [[0, 8]]}, target=1
    )
    with pytest.raises(OptionError, match="nothing to read"):
        source.values(np.zeros((1, source.players), bool), hide="delete")
    trace = capture(tiny.build("bert-class"), TEXT, tokenizer=tiny.wordpiece())
    with pytest.raises(InputError, match="gradient record"):
        of_trace(tiny.build("bert-class"), trace)
