"""Reading, slicing and stacking results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import networks
from attnflow.attribution import Attribution, Target
from attnflow.errors import InputError, OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork

FIELDS = ("scores", "total", "lower", "upper", "bottleneck", "stderr", "excluded_cost")


@pytest.fixture(scope="module")
def network() -> FlowNetwork:
    return networks.encoder(np.random.default_rng(0), 5, 2)


@pytest.fixture(scope="module")
def result(network) -> Attribution:
    return attribute(network, method="shapley", targets=[0, 3, [1, 2]], samples=8, exclude=[4])


def test_shapes_are_checked(result):
    for name in ("scores", "lower", "upper", "bottleneck", "stderr"):
        with pytest.raises(
            InputError, match=rf"{name} has shape \[2, 2\], expected \[3 targets, 4 players\]"
        ):
            replace(result, **{name: np.zeros((2, 2))})
    with pytest.raises(InputError, match=r"total has shape \[2\], expected \[3 targets\]"):
        replace(result, total=np.zeros(2))


def test_getitem(result):
    assert len(result) == 3
    for index, rows in (
        (1, [1]),
        (-1, [2]),
        (slice(0, 2), [0, 1]),
        ([2, 0], [2, 0]),
        (slice(None, None, -1), [2, 1, 0]),
    ):
        part = result[index]
        assert [target.positions for target in part.targets] == [
            result.targets[row].positions for row in rows
        ]
        for name in FIELDS:
            assert (getattr(part, name) == getattr(result, name)[rows]).all()
        assert part.players == result.players
    with pytest.raises(IndexError):
        result[3]


def test_iterating_gives_a_result_per_target(result):
    assert [part.targets[0] for part in result] == list(result.targets)


def test_a_slice_still_realises(result):
    assert result[1].realize().verify()


def test_top():
    players = networks.encoder(np.random.default_rng(0), 4, 1).players
    result = Attribution(
        "flow",
        np.array([[0.2, 0.5, 0.2, 0.0], [0.0, 0.1, 0.0, 0.9]]),
        np.ones(2),
        players,
        (Target((0,)), Target((1,))),
    )
    assert result.top(3) == [("1", 0.5), ("0", 0.2), ("2", 0.2)]  # ties in the order of the players
    assert result.top(1, target=1) == [("3", 0.9)]
    assert len(result.top(100)) == 4
    assert result.top(0) == []
    assert all(type(score) is float for _, score in result.top())


def test_target_names():
    assert Target((3,), label="yes", token="a").name == "yes"
    assert Target((3,), token="a").name == "a"
    assert Target((3,)).name == "3"
    assert Target((3, 4)).name == "2 positions"
    assert Target((3, 4), label="mean").name == "mean"


def test_concat_undoes_slicing(result):
    joined = Attribution.concat([result[0], result[1], result[2]])
    assert joined.targets == result.targets
    for name in FIELDS:
        assert (getattr(joined, name) == getattr(result, name)).all()
    assert (joined.samples, joined.estimated, joined.notes) == (result.samples, True, result.notes)
    assert joined.network is result.network
    assert joined.realize(0).verify()
    assert Attribution.concat(iter([result])).targets == result.targets


def test_concat_of_two_networks_keeps_both(network):
    other = networks.encoder(np.random.default_rng(9), 5, 2)
    parts = [
        attribute(part, method="shapley", targets=[target]) for part, target in ((network, 0), (other, 3))
    ]
    joined = Attribution.concat(parts)
    assert joined.network is None
    assert joined.networks == (network, other)
    assert joined.error_bound == max(part.error_bound for part in parts)
    for row, target in enumerate((0, 3)):
        flow = joined.realize(target)
        assert flow.network is parts[row].network
        assert flow.outflow == pytest.approx(parts[row].scores[0], abs=1e-9)
        assert joined[row].network is parts[row].network
        assert joined[row].networks is None
    assert joined[[1, 0]].networks == (other, network)
    assert Attribution.concat([joined, joined]).networks == (network, other) * 2


def test_concat_with_a_result_that_has_no_network_has_none(network):
    whole = attribute(network, method="shapley", targets=[0])
    joined = Attribution.concat([whole, replace(whole, network=None)])
    assert joined.network is None
    assert joined.networks is None
    with pytest.raises(OptionError, match="without its network"):
        joined.realize(0)


def test_concat_of_bounds_with_none(network):
    parts = [attribute(network, method="flow", targets=[0], bounds=bounds) for bounds in (True, False)]
    joined = Attribution.concat(parts)
    assert joined.lower is None
    assert joined.bottleneck is None
    assert (joined.upper == np.concatenate([part.upper for part in parts])).all()


def test_concat_of_sampled_with_exact_keeps_the_standard_errors(network):
    parts = [attribute(network, method="shapley", targets=[0], samples=samples) for samples in (8, None)]
    joined = Attribution.concat(parts)
    assert joined.estimated
    assert (joined.stderr[0] == parts[0].stderr[0]).all()
    assert (joined.stderr[1] == 0).all()


def test_concat_refuses_what_does_not_stack(network, result):
    one = attribute(network, method="flow", targets=[0])
    with pytest.raises(OptionError, match="Nothing to concatenate"):
        Attribution.concat([])
    with pytest.raises(OptionError, match="differ in method, so they do not stack: 'flow' and 'rollout'"):
        Attribution.concat([one, attribute(network, method="rollout", targets=[0])])
    with pytest.raises(OptionError, match="differ in players"):
        Attribution.concat([one, attribute(network, method="flow", targets=[0], exclude=[1])])
    for name, value in (("capacity", "norm"), ("residual", 0.1), ("unit", "logit"), ("layers", ("x",))):
        with pytest.raises(OptionError, match=f"differ in {name}"):
            Attribution.concat([one, replace(one, **{name: value})])


def test_players_of_groups(network):
    result = attribute(
        network, method="flow", targets=[0], players=[[0, 1], [4, 2]], labels=["first", "rest"], exclude=[2]
    )
    assert [player.label for player in result.players] == ["first", "rest"]
    assert [player.nodes for player in result.players] == [
        (("encoder", 0), ("encoder", 1)),
        (("encoder", 4),),
    ]
    assert [player.label for player in result.excluded] == ["2"]
    unnamed = attribute(network, method="flow", targets=[0], players=[[0, 1]])
    assert unnamed.players[0].label == "0 1"


def test_what_a_result_says_of_itself(network):
    result = attribute(network, method="shapley", targets=[0], seed=3, samples=8)
    assert result.provenance["network"] == network.digest
    options = result.provenance["options"]
    assert (options["method"], options["seed"], options["samples"]) == ("shapley", 3, 8)
    assert 0 <= result.error_bound < 1e-9
    assert result.layers == network.layers
    assert result.excluded_cost is None


def test_top_refuses_what_is_no_number_of_players_and_no_target(result):
    assert result.top(0) == []
    assert len(result.top(99)) == len(result.players)
    for wrong in (-1, "a", 1.5, True):
        with pytest.raises(OptionError, match="k="):
            result.top(wrong)
    with pytest.raises(OptionError, match="from 0 to 2"):
        result.top(1, target=3)


def test_a_result_describes_itself_in_a_line(result):
    said = repr(result)
    assert "\n" not in said
    assert len(said) < 200
    label, score = result.top(1)[0]
    assert f"highest {label} {score:.3g}" in said
    assert "shapley" in said
    awkward = replace(
        result,
        players=tuple(replace(player, label="a\n" + 99 * "long ") for player in result.players),
        targets=tuple(replace(target, label="\x1d" + 99 * "x") for target in result.targets),
    )
    assert repr(awkward).isprintable()
    assert len(repr(awkward)) < 300
