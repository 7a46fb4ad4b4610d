"""Which positions decide which output."""

import pytest
import torch

import tiny
from attnflow.capture import capture
from attnflow.capture.pooling import by_rule

IDS = [6, 9, 30, 12, 45, 9, 17, 2]


def outputs(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]))


@pytest.mark.parametrize(
    ("family", "positions"),
    [
        ("bert-class", (0,)),
        ("gpt2-class", (7,)),
        ("llama-class", (7,)),
        ("xlnet", (7,)),
        ("modernbert-mean", tuple(range(8))),
    ],
)
def test_sequence_classifiers(family, positions):
    model = tiny.build(family)
    model.config.id2label = {0: "bad", 1: "fair", 2: "good"}
    trace = capture(model, inputs={"input_ids": IDS})
    (decision,) = trace.decisions
    chances = outputs(model, IDS).logits[0].softmax(-1)
    assert decision.positions == positions
    assert decision.id == int(chances.argmax())
    assert decision.label == model.config.id2label[decision.id]
    assert decision.probability == pytest.approx(float(chances.max()), rel=1e-4)
    assert trace.decides[positions[0]] == decision.label
    if len(positions) > 1:
        assert decision.weights == (1 / 8,) * 8
        assert by_rule(model, trace.architecture, 8, IDS) == positions
    else:
        assert decision.weights is None
        assert by_rule(model, trace.architecture, 8, IDS) == positions


def test_decoder_classifier_reads_the_last_token_that_is_not_padding():
    model = tiny.build("gpt2-class")
    inputs = {"input_ids": [6, 9, 30, 5, 5], "attention_mask": [1, 1, 1, 0, 0]}
    trace = capture(model, inputs=inputs)
    assert len(trace.decoder_tokens) == 3
    assert trace.decisions[0].positions == (2,)


def test_several_labels_at_once_and_regression():
    model = tiny.build("bert-class", problem_type="multi_label_classification")
    trace = capture(model, inputs={"input_ids": IDS})
    assert trace.decisions[0].probability == pytest.approx(
        float(outputs(model, IDS).logits[0].sigmoid().max()), rel=1e-4
    )
    trace = capture(tiny.build("bert-class", num_labels=1), inputs={"input_ids": IDS})
    assert trace.decisions[0].probability is None


def test_token_classifier():
    model, tokenizer = tiny.build("bert-tokens"), tiny.wordpiece()
    trace = capture(model, "the quick dog", tokenizer=tokenizer)
    ids = tokenizer("the quick dog")["input_ids"]
    best = outputs(model, ids).logits[0].argmax(-1).tolist()
    assert [d.positions for d in trace.decisions] == [(i,) for i in range(1, len(ids) - 1)]
    assert [d.id for d in trace.decisions] == best[1:-1]
    assert trace.decides == tuple(f"LABEL_{i}" for i in best)


def test_masked_language_model():
    model, tokenizer = tiny.build("bert-mlm"), tiny.wordpiece()
    text = "the [MASK] dog [MASK]"
    ids = tokenizer(text)["input_ids"]
    masks = [i for i, id in enumerate(ids) if id == tokenizer.mask_token_id]
    chances = outputs(model, ids).logits[0].softmax(-1)
    trace = capture(model, text, tokenizer=tokenizer)
    assert [d.positions for d in trace.decisions] == [(i,) for i in masks]
    for decision, position in zip(trace.decisions, masks):
        assert decision.id == int(chances[position].argmax())
        assert decision.probability == pytest.approx(float(chances[position].max()), rel=1e-4)
    (decision,) = capture(model, "the dog", tokenizer=tokenizer).decisions
    assert (decision.positions, decision.label) == ((0,), None)


def test_answers():
    model = tiny.build("bert-answers")
    trace = capture(model, inputs={"input_ids": IDS})
    out = outputs(model, IDS)
    assert [d.positions for d in trace.decisions] == [
        (int(out.start_logits.argmax()),),
        (int(out.end_logits.argmax()),),
    ]


def test_headless_encoder():
    (decision,) = capture(tiny.build("bert"), inputs={"input_ids": IDS}).decisions
    assert (decision.positions, decision.label, decision.probability) == ((0,), None, None)
