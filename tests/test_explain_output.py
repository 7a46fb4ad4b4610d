"""Explanations of one output: gradient capacities from model to result."""

import numpy as np
import pytest

import tiny
from attnflow import Attribution, explain
from attnflow.capture import capture, capture_targets
from attnflow.errors import OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork

torch = pytest.importorskip("torch")

TEXT = "the quick fox jumps over the dog"
GRADIENT = ["relevance", "attention-gradient", "gradient"]


@pytest.fixture(scope="module")
def classifier():
    return {"model": tiny.build("bert-class"), "tokenizer": tiny.wordpiece()}


@pytest.fixture(scope="module")
def writer():
    return {"model": tiny.build("gpt2"), "tokenizer": tiny.byte_bpe()}


@pytest.mark.parametrize(
    ("scheme", "method"),
    [*((scheme, method) for scheme in GRADIENT for method in ("flow", "shapley")), ("gradient", "rollout")],
)
def test_is_the_walk_by_hand(classifier, scheme, method):
    result = explain(**classifier, text=TEXT, capacity=scheme, method=method)
    trace = capture(**classifier, text=TEXT, record=scheme)
    network = FlowNetwork.from_trace(trace, scheme)
    again = attribute(network, method=method, targets=[trace.decisions[0].positions])
    assert np.array_equal(result.scores, again.scores)
    assert result.total == again.total
    assert result.residual == ("open" if scheme == "relevance" else 0)
    unit = "logit per attention" if scheme == "gradient" else "logit"
    assert result.unit == unit  # of the total and the bounds, also where scores are parts of 1
    assert result.targets[0].label == trace.decisions[0].label
    options = result.provenance["options"]
    assert (options["signed"], options["steps"], options["baseline"], options["output"]) == (
        False,
        1,
        None,
        None,
    )
    assert result.provenance["outputs"] == trace.provenance["outputs"]


def test_the_total_is_in_logits(classifier):
    model = tiny.build("bert-class")
    one = explain(
        model, TEXT, tokenizer=classifier["tokenizer"], capacity="relevance", output=1, method="flow"
    )
    with torch.no_grad():
        model.classifier.weight *= 2
        model.classifier.bias.zero_()
    two = explain(
        model, TEXT, tokenizer=classifier["tokenizer"], capacity="relevance", output=1, method="flow"
    )
    assert one.total[0] > 0
    np.testing.assert_allclose(two.total, 2 * one.total, rtol=1e-4)
    np.testing.assert_allclose(two.scores, 2 * one.scores, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("method", ["flow", "shapley"])
def test_each_target_has_a_network_of_its_own(writer, method):
    result = explain(**writer, text="the cat", generate=3, capacity="relevance", method=method)
    assert len(result.networks) == len(result) == len(result.provenance["outputs"]) > 1
    assert result.network is None
    traces = capture_targets(**writer, text="the cat", generate=3)
    for row, trace in enumerate(traces):
        assert result.targets[row].positions == trace.decisions[0].positions
        assert result.provenance["outputs"][row]["value"] == trace.provenance["outputs"][0]["value"]
        alone = explain(
            **writer, text="the cat", generate=3, capacity="relevance", method=method,
            target=result.targets[row].positions[0],
        )  # fmt: skip
        np.testing.assert_allclose(alone.scores[0], result.scores[row], atol=1e-6)
        if method == "shapley":
            assert result.realize(result.targets[row].positions).verify()
            np.testing.assert_allclose(result.scores[row].sum(), result.total[row], rtol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt-oss"])
def test_players_that_cannot_reach_the_target_score_zero(family):
    for scheme in GRADIENT:
        for signed in (False, True):
            result = explain(
                tiny.build(family), inputs={"input_ids": [6, 9, 30, 12, 45, 9]}, target=2, capacity=scheme,
                method="flow", signed=signed, residual="open",
            )  # fmt: skip
            assert result.scores[0, :3].any()
            assert not result.scores[0, 3:].any()


@pytest.mark.parametrize("method", ["flow", "shapley"])
def test_signed(classifier, method):
    result = explain(**classifier, text=TEXT, capacity="relevance", method=method, signed=True)
    plain = explain(**classifier, text=TEXT, capacity="relevance", method=method)
    trace = capture(**classifier, text=TEXT, record="relevance")
    against = attribute(
        FlowNetwork.from_trace(trace, "relevance", opposing=True),
        method=method,
        targets=[trace.decisions[0].positions],
    )
    assert np.array_equal(result.supporting, plain.scores)
    assert np.array_equal(result.opposing, against.scores)
    assert np.array_equal(result.scores, plain.scores - against.scores)
    assert result.total == plain.total - against.total
    assert result.provenance["options"]["signed"] is True
    with pytest.raises(OptionError, match="difference of two flows"):
        result.realize()


def test_signed_rows_are_stacked(writer):
    result = explain(**writer, text="the cat", generate=2, capacity="relevance", method="flow", signed=True)
    assert result.supporting.shape == result.opposing.shape == result.scores.shape
    assert np.array_equal(result.scores, result.supporting - result.opposing)


def test_a_contrast_turned_round_swaps_support_and_opposition(classifier):
    one, other = (
        explain(**classifier, text=TEXT, capacity="relevance", method="flow", signed=True, output=pair)
        for pair in ((0, 2), (2, 0))
    )
    np.testing.assert_allclose(one.supporting, other.opposing, atol=1e-7)
    np.testing.assert_allclose(one.scores, -other.scores, atol=1e-7)
    assert one.targets[0].label == "LABEL_0 − LABEL_2"


def test_steps_and_baseline(classifier):
    result = explain(**classifier, text=TEXT, capacity="relevance", method="flow", steps=3, baseline="pad")
    trace = capture(**classifier, text=TEXT, record="relevance", steps=3, baseline="pad")
    by_hand = attribute(FlowNetwork.from_trace(trace, "relevance"), method="flow", targets=[0])
    assert np.array_equal(result.scores, by_hand.scores)
    options = result.provenance["options"]
    assert (options["steps"], options["baseline"]) == (3, "pad (id 0)")


def test_attention_and_gradients_from_one_capture(writer):
    blind, relevance = explain(
        **writer, text="the cat", generate=2, capacity=["attention", "relevance"], method="flow"
    )
    alone = explain(**writer, text="the cat", generate=2, method="flow", capacity="attention")
    assert np.array_equal(blind.scores, alone.scores)
    assert blind.targets == alone.targets == relevance.targets
    assert blind.unit == "share"
    assert blind.network is not None
    assert "outputs" not in blind.provenance
    assert relevance.unit == "logit"
    every, norm = explain(
        **writer, text="the cat", capacity=["relevance", "norm"], method="flow", target="all"
    )
    assert len(every) == len(norm) == len(every.players)


def test_the_weighted_target_of_a_pooled_class():
    result = explain(
        tiny.build("modernbert-mean"),
        inputs={"input_ids": [6, 9, 30, 12, 45]},
        capacity="relevance",
        method="flow",
    )
    # weights are one more row of attention; in logits the positions feed one sink without limits
    assert result.targets[0].positions == (0, 1, 2, 3, 4)
    assert result.targets[0].weights is None
    ids = {"input_ids": [6, 9, 30, 12, 45]}
    plain = explain(tiny.build("modernbert-mean"), inputs=ids, capacity="attention")
    assert plain.targets[0].weights == (0.2,) * 5


def test_all_positions_as_one_set(classifier):
    positions = list(range(len(explain(**classifier, text=TEXT, method="flow").players)))
    result = explain(**classifier, text=TEXT, capacity="attention-gradient", method="flow", target=positions)
    assert result.targets[0].positions == tuple(positions)
    assert result.targets[0].label.startswith("LABEL_")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"output": 0, "capacity": "attention"}, "output=0 has no effect on 'attention'"),
        ({"signed": True, "capacity": "attention"}, "signed=True has no effect on 'attention'"),
        ({"steps": 4, "capacity": "attention"}, "steps=4 has no effect"),
        ({"baseline": "mask"}, "baseline='mask' has no effect"),
        ({"capacity": ["relevance", "norm"], "output": 1}, "no effect on 'norm'"),
        ({"capacity": "relevance", "signed": True, "method": "attention"}, "for and against"),
        ({"capacity": "relevance", "layers": (2, 3)}, "open residual"),
        ({"capacity": "relevance", "target": "first"}, "target='first'"),
        ({"capacity": "relevance", "heads": "max"}, "heads='max'"),
    ],
)
def test_refusals(classifier, options, match):
    with pytest.raises(OptionError, match=match):
        explain(**classifier, text=TEXT, **options)


def test_closed_prefix_is_refused(writer):
    with pytest.raises(OptionError, match="closed"):
        explain(**writer, text="the cat", generate=2, capacity="relevance", prefix="closed")


def test_several_texts(classifier):
    results = explain(
        **classifier, text=[TEXT, "a cat"], capacity="relevance", method="flow", output=("LABEL_0", 1)
    )
    assert [result.targets[0].label for result in results] == ["LABEL_0 − LABEL_1"] * 2


def test_saved_and_shown(classifier, tmp_path, capsys):
    result = explain(**classifier, text=TEXT, capacity="relevance", method="flow", signed=True, steps=2)
    result.save(tmp_path / "r.json")
    again = Attribution.load(tmp_path / "r.json")
    assert np.array_equal(again.opposing, result.opposing)
    assert again.provenance["outputs"] == result.provenance["outputs"]
    result.show()
    assert "logit" in capsys.readouterr().out
    result.to_html(tmp_path / "r.html")
    assert "logit" in (tmp_path / "r.html").read_text()
