"""Ribbons are the realised flow, all of it, and what a picture hides is what it says it hides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
from attnflow.attribution import Attribution
from attnflow.errors import OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.view.ribbons import KINDS, hidden, realised, row_of


def encoder_decoder(prefix="closed", prompt=2):
    rng = np.random.default_rng(4)
    encoder = networks.merged(networks.softmax(rng, 2, 4, 4))
    decoder = networks.merged(networks.causal(networks.softmax(rng, 3, 5, 5)))
    cross = 0.5 * networks.softmax(rng, 3, 5, 4)
    return FlowNetwork.encoder_decoder(
        encoder, decoder, cross, cross_residual=0.5, prefix=prefix, prompt=prompt
    )


@given(networks.networks(max_size=5), st.data())
def test_ribbons_are_conserved_and_end_at_the_target(network, data):
    target = data.draw(networks.targets_of(network))
    result = attribute(network, method="shapley", targets=[target])
    found = realised(result).ribbons
    assert (found.flow > 0).all()
    assert (np.diff(found.flow) >= 0).all()
    scale = max(1.0, found.value)
    net = [np.zeros(group.size) for group in found.network.groups]
    for source, tail, to, head, flow in zip(
        found.source, found.tail, found.target, found.head, found.flow, strict=True
    ):
        net[source][tail] -= flow
        net[to][head] += flow
    last = len(net) - 1
    for player, score in zip(result.players, result.scores[0], strict=True):
        for stack, position in player.nodes:
            net[network.input_group(stack)][position] += score
    for position in np.atleast_1d(target):
        net[last][position] = 0 if net[last][position] > 0 else net[last][position]
    assert max(np.abs(part).max() for part in net) < 1e-6 * scale


@given(networks.networks(max_size=5), st.data())
def test_the_marked_edges_are_a_minimum_cut(network, data):
    """Without them nothing reaches the target, and what they carry is the value."""
    target = data.draw(networks.targets_of(network))
    found = realised(attribute(network, method="shapley", targets=[target])).ribbons
    assert found.flow[found.cut].sum() == pytest.approx(found.value, abs=1e-6 * max(1.0, found.value))


def test_kinds():
    found = realised(attribute(encoder_decoder(), method="shapley", targets=[-1])).ribbons
    names = [KINDS[kind] for kind in found.kind]
    assert set(names) >= {"residual", "attention", "cross"}
    groups = found.network.groups
    for name, source, to, tail, head in zip(
        names, found.source, found.target, found.tail, found.head, strict=True
    ):
        stacks = groups[source].stack, groups[to].stack
        assert (name == "cross") == (stacks == ("encoder", "decoder"))
        assert (name == "closure") == (source == len(groups) - 1)
        if name == "closure":
            assert head == tail + 1
        elif name != "cross":
            assert (name == "residual") == (tail == head)


def test_what_was_decided_feeds_back():
    """One layer: the last token reads only the second, which the first position decided."""
    C = np.array([[[1.0, 0, 0], [0.5, 0.5, 0], [0, 1.0, 0]]])
    network = FlowNetwork.decoder(C, prompt=1, prefix="closed")
    found = realised(attribute(network, method="shapley", targets=[2])).ribbons
    edges = {
        KINDS[kind]: (tail, head) for kind, tail, head in zip(found.kind, found.tail, found.head, strict=True)
    }
    assert edges["closure"] == (0, 1)
    assert found.flow.tolist() == [1.0, 1.0, 1.0]


def test_groups_of_players_supply_their_positions():
    result = attribute(encoder_decoder(), method="shapley", targets=[-1], players=[[0, 1], [2, 3], [4], [5]])
    found = realised(result).ribbons
    supply = found.kind == KINDS.index("supply")
    sent = np.bincount(found.tail[supply], found.flow[supply], minlength=4)
    np.testing.assert_allclose(sent, result.scores[0], atol=1e-6)


def test_method_flow_draws_one_players_flow():
    result = attribute(encoder_decoder("players"), method="flow", targets=[-1, -2])
    best = realised(result, -2)
    assert (best.row, best.player) == (1, int(result.scores[1].argmax()))
    assert best.ribbons.value == pytest.approx(result.scores[1].max())
    other = realised(result, -1, player=3)
    assert other.player == 3
    assert other.ribbons.value == pytest.approx(result.scores[0, 3])


def test_hidden_is_the_weakest_and_its_share():
    flow = np.array([1.0, 1.0, 2.0, 4.0, 8.0])
    assert hidden(flow, 0.0) == (0, 0.0)
    assert hidden(flow, 0.13) == (2, 0.125)
    assert hidden(flow, 0.0, most=2) == (3, 0.25)
    assert hidden(flow, 0.6, most=100) == (4, 0.5)
    assert hidden(np.array([]), 0.5) == (0, 0.0)
    with pytest.raises(OptionError, match="share of the flow"):
        hidden(flow, 1.0)


def test_targets_are_named_by_position():
    result = attribute(encoder_decoder("players"), method="flow", targets=[3, [1, 2]])
    assert [row_of(result, 3), row_of(result, -2), row_of(result, [1, 2])] == [0, 0, 1]
    assert row_of(result, None) == 0
    with pytest.raises(OptionError, match=r"no target 4: expected one of 3, \[1, 2\]"):
        row_of(result, 4)
    assert row_of(result[0], None) == 0


def test_refusals_come_from_realize(tmp_path):
    result = attribute(encoder_decoder(), method="shapley", targets=[-1])
    result.save(tmp_path / "bare.json")
    with pytest.raises(OptionError, match="network=True"):
        realised(Attribution.load(tmp_path / "bare.json"))
