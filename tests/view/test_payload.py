"""The payload: JSON, versioned, its flows those of the result, and nothing in it that acts."""

import json
from dataclasses import replace

import numpy as np
import pytest

import results
from attnflow import FlowNetwork, attribute
from attnflow.comparison import Comparison
from attnflow.view.payload import FORMAT, embedded, payload
from attnflow.view.realised import FLOWS


def attention(layers, size, *, causal=False, seed=0):
    logits = np.random.default_rng(seed).normal(size=(layers, size, size)) * 2
    if causal:
        logits = np.where(np.tril(np.ones((size, size))), logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def mixed(weights):
    return 0.5 * weights + 0.5 * np.eye(weights.shape[-1])


def encoder(size=6):
    network = FlowNetwork.encoder(mixed(attention(3, size)), tokens=[f"t{i}" for i in range(size)])
    return attribute(network, method="shapley", targets=[0, 2])


def closed(prefix="closed"):
    network = FlowNetwork.decoder(mixed(attention(3, 7, causal=True)), prompt=4, prefix=prefix)
    return attribute(network, method="shapley", targets=[3, 6])


def encoder_decoder():
    network = FlowNetwork.encoder_decoder(
        mixed(attention(2, 5)),
        mixed(attention(2, 4, causal=True, seed=1)),
        0.5 * attention(2, 5, seed=2)[:, :4],
        cross_residual=0.5,
        prefix="closed",
        prompt=1,
    )
    return attribute(network, method="shapley", targets=[3])


def grouped():
    network = FlowNetwork.encoder(mixed(attention(3, 6)))
    return attribute(network, method="shapley", targets=[0], players=[[0, 1], [2], [3, 4], [5]])


def net_inflow(flows, item):
    """What each node takes in less what it sends on, recomputed from the sparse edges alone."""
    net = [np.zeros(group["size"]) for group in flows["graph"]["groups"]]
    for block, (tails, heads, amount) in zip(flows["graph"]["blocks"], item["blocks"], strict=True):
        np.subtract.at(net[block["source"]], tails, amount)
        np.add.at(net[block["target"]], heads, amount)
    return net


@pytest.mark.parametrize("make", [encoder, closed, encoder_decoder, grouped])
def test_drawn_flow_is_conserved_and_split_as_scored(make):
    result = make()
    data = payload(result)
    flows = data["results"][0]["flows"]
    assert flows["missing"] == []
    assert [item["row"] for item in flows["items"]] == list(range(len(result.targets)))
    for item in flows["items"]:
        net = net_inflow(flows, item)
        positions = list(result.targets[item["row"]].positions)
        assert net[flows["graph"]["final"]][positions].sum() == pytest.approx(item["value"], abs=1e-3)
        sent = np.concatenate([-np.minimum(part, 0) for part in net])
        assert sorted(sent[sent > 1e-3]) == pytest.approx(
            sorted(score for score in result.scores[item["row"]] if score > 1e-3), abs=1e-3
        )


@pytest.mark.parametrize("make", [encoder, closed, encoder_decoder, grouped])
def test_cut_carries_the_whole_flow(make):
    for item in payload(make())["results"][0]["flows"]["items"]:
        through = sum(
            block[2][edge]
            for block, crossed in zip(item["blocks"], item["cut"], strict=True)
            for edge in crossed
        )
        assert through + item["cut_at_target"] == pytest.approx(item["value"], rel=1e-3)


def test_flow_of_one_player_is_its_score():
    network = FlowNetwork.encoder(mixed(attention(2, 5)))
    result = attribute(network, method="flow", targets=[1])
    flows = payload(result)["results"][0]["flows"]
    assert {item["player"] for item in flows["items"]} == set(range(5))
    for item in flows["items"]:
        assert item["value"] == pytest.approx(result.scores[0, item["player"]], rel=1e-4)


def test_kinds_of_edges():
    kinds = {block["kind"] for block in payload(encoder_decoder())["results"][0]["flows"]["graph"]["blocks"]}
    assert kinds == {"attention", "cross", "past", "closure"}
    kinds = {block["kind"] for block in payload(grouped())["results"][0]["flows"]["graph"]["blocks"]}
    assert kinds == {"attention", "players"}


def test_generated_positions_have_names_without_being_players():
    (sequence,) = payload(closed())["sequences"]
    assert [token["position"] for token in sequence["tokens"]] == list(range(7))


def test_says_which_targets_have_no_flow():
    network = FlowNetwork.encoder(mixed(attention(2, 5)))
    result = attribute(network, method="shapley", targets=list(range(5)))
    assert payload(result, flow_count=2)["results"][0]["flows"]["missing"] == [2, 3, 4]
    none = payload(result, flow_count=0)["results"][0]["flows"]
    assert none["missing"] == [0, 1, 2, 3, 4]
    assert none["items"] == []
    many = attribute(network, method="rollout", targets=[0])
    assert "split of a maximum flow" in payload(many)["results"][0]["flows"]["note"]
    assert FLOWS >= 5
    assert payload(result)["results"][0]["flows"]["missing"] == []


@pytest.mark.parametrize("make", [results.signed, results.single_target])
def test_says_why_nothing_is_drawn(make):
    flows = payload(make())["results"][0]["flows"]
    assert flows["items"] == []
    assert flows["graph"] is None
    assert flows["note"].endswith(".")
    assert flows["missing"] == [0]


@pytest.mark.parametrize(
    "make",
    [
        results.single_target, results.estimated, results.many_targets, results.encoder_decoder, results.awkward,
        results.signed, encoder, closed,
    ],
)  # fmt: skip
def test_is_json_of_one_format(make):
    result = make()
    data = payload(result)
    assert data["format"] == FORMAT
    assert json.loads(embedded(data)) == data
    (shown,) = data["results"]
    for name in ("scores", "lower", "upper", "stderr", "supporting", "opposing"):
        matrix = getattr(result, name)
        assert (shown[name] is None) == (matrix is None)
        if matrix is not None:
            np.testing.assert_allclose(shown[name], matrix, rtol=1e-5)
    pieces = [piece["player"] for block in data["passage"] for piece in block["pieces"]]
    assert {index for index in pieces if index is not None} == set(range(len(result.players)))


def test_nothing_in_it_acts():
    text = embedded(payload(results.awkward()))
    assert not any(sign in text for sign in "<>&\u202e\x1b")
    labels = [player["label"] for player in json.loads(text)["players"]]
    assert "<img src=x onerror=alert(1)>" in labels


def test_comparison_holds_every_result():
    both = Comparison(results.several())
    data = payload(both)
    assert [result["name"] for result in data["results"]] == list(both.names)
    assert len(data["comparison"]["correlations"][0]) == 3
    single = payload(Comparison(results.several()[:1]))
    assert single["comparison"]["correlations"] == []


def test_a_difference_has_no_flow():
    note = payload(replace(encoder(), provenance={"contrast": [{}, {}]}))["results"][0]["flows"]["note"]
    assert "difference" in note
