"""Builders: which nodes, edges, players and names; and everything they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
from attnflow.errors import NetworkError, OptionError
from attnflow.methods import attribute
from attnflow.network import Block, FlowNetwork, Link
from attnflow.trace import Decision, Token, Trace

EYE = np.eye(3)[None]
LOWER = networks.causal(np.ones((2, 3, 3)))
BUILDERS = {
    "encoder": FlowNetwork.encoder,
    "decoder": FlowNetwork.decoder,
    "encoder of encoder-decoder": lambda C: FlowNetwork.encoder_decoder(
        C, LOWER, np.full((2, 3, 3), 0.1), cross_residual=0.5
    ),
    "decoder of encoder-decoder": lambda C: FlowNetwork.encoder_decoder(
        EYE, C, np.full((len(C), 3, 3), 0.1), cross_residual=0.5
    ),
}


def names(network: FlowNetwork) -> list[str]:
    return [f"{group.stack} {group.layer}" for group in network.groups]


# -- what is built -------------------------------------------------------------------------------------


def test_encoder():
    C = networks.softmax(np.random.default_rng(0), 2, 3, 3)
    network = FlowNetwork.encoder(C, tokens=["a", "b", "c"])
    assert names(network) == ["encoder 0", "encoder 1", "encoder 2"]
    assert [(e.source, e.target, e.layer) for e in network.edges] == [(0, 1, 1), (1, 2, 2)]
    assert all(np.shares_memory(part.capacity, C) for part in network.edges)  # float64 is not copied
    assert [player.nodes for player in network.players] == [(("encoder", j),) for j in range(3)]
    assert [player.label for player in network.players] == ["a", "b", "c"]
    assert network.layers == ("encoder 1", "encoder 2")
    assert network.tokens == ("a", "b", "c")
    assert (network.size, network.final, network.row_stochastic) == (3, 2, True)
    assert [player.label for player in FlowNetwork.encoder(C).players] == ["0", "1", "2"]


def test_decoder():
    network = FlowNetwork.decoder(LOWER, prompt=2, tokens=["a", "b", "c"])
    assert [player.kind for player in network.players] == ["text", "text", "generated"]
    assert len(network.edges) == 2
    closed = FlowNetwork.decoder(LOWER, prompt=2, prefix="closed")
    assert [player.label for player in closed.players] == ["0", "1"]
    link = closed.edges[-1]
    assert isinstance(link, Link)
    assert (link.source, link.target, link.layer) == (2, 0, 0)
    assert link.tails.tolist() == [1]
    assert link.heads.tolist() == [2]
    assert np.isinf(link.capacity).all()
    assert len(FlowNetwork.decoder(LOWER, prefix="closed").edges) == 2  # nothing was generated


@pytest.mark.parametrize("residual", [0.5, 0.0, None])
def test_encoder_decoder(residual):
    crossed = np.full((2, 3, 2), 0.25)
    network = FlowNetwork.encoder_decoder(
        np.eye(2)[None],
        LOWER,
        crossed,
        cross_residual=residual,
        tokens=["a", "b"],
        decoder_tokens=["<s>", "x", "y"],
    )
    assert names(network) == [
        *("encoder 0", "encoder 1", "decoder 0"),
        *("middle 1", "decoder 1", "middle 2", "decoder 2"),
    ]
    assert [player.label for player in network.players] == ["a", "b", "<s>", "x", "y"]
    assert [player.nodes[0] for player in network.players][2:] == [("decoder", j) for j in range(3)]
    assert [player.kind for player in network.players][2:] == ["text", "generated", "generated"]
    assert network.layers == ("encoder 1", "decoder 1", "decoder 2", "cross 1", "cross 2")
    blocks = [(e.source, e.target, e.layer) for e in network.edges if isinstance(e, Block)]
    assert blocks == [(0, 1, 1), (2, 3, 2), (1, 4, 4), (4, 5, 3), (1, 6, 5)]  # every layer reads encoder 1
    links = [e for e in network.edges if isinstance(e, Link)]
    assert [(e.source, e.target) for e in links] == [(3, 4), (5, 6)]
    assert all((e.capacity == (np.inf if residual is None else residual)).all() for e in links)
    assert network.row_stochastic == (residual is not None)
    assert network.tokens == ("<s>", "x", "y")
    closed = FlowNetwork.encoder_decoder(
        np.eye(2)[None], LOWER, crossed, cross_residual=residual, prefix="closed", prompt=1
    )
    assert [player.nodes[0] for player in closed.players] == [("encoder", 0), ("encoder", 1), ("decoder", 0)]
    link = closed.edges[-1]
    assert (link.source, link.target) == (6, 2)
    assert link.tails.tolist() == [0, 1]
    assert link.heads.tolist() == [1, 2]


def test_dtypes():
    C = np.full((1, 2, 2), 0.5)
    assert FlowNetwork.encoder(C.astype(np.float32)).edges[0].capacity.dtype == np.float32
    for dtype in (np.float16, np.int64, np.uint8, ">f8", np.longdouble):
        assert FlowNetwork.encoder((2 * C).astype(dtype)).edges[0].capacity.dtype == np.float64
    assert FlowNetwork.encoder([[[1, 0], [0, 1]]]).max_flow(target=0).value == 1
    assert FlowNetwork.encoder([np.eye(2), np.eye(2, dtype=np.float32)]).row_stochastic


def test_non_contiguous_arrays():
    C = networks.softmax(np.random.default_rng(0), 2, 4, 4)
    values = [FlowNetwork.encoder(C).max_flow([0], target=t).value for t in range(4)]
    for view in (np.asfortranarray(C), np.stack([C, C], axis=-1)[..., 0], C[::-1][::-1]):
        assert [FlowNetwork.encoder(view).max_flow([0], target=t).value for t in range(4)] == values


def test_tokens_may_be_tokens():
    tokens = [
        Token("[CLS]", 101, special=True),
        Token("hi", 7, span=(0, 2), role="user"),
        Token("x", generated=True),
    ]
    players = FlowNetwork.encoder(EYE, tokens=tokens).players
    assert [player.kind for player in players] == ["special", "text", "generated"]
    assert players[1].span == (0, 2)
    assert players[1].role == "user"


@given(st.integers(0, 10**6), st.data())
def test_a_decoder_is_an_encoder_with_zeros(seed, data):
    C = networks.merged(networks.causal(networks.softmax(np.random.default_rng(seed), 2, 4, 4)))
    target = data.draw(st.integers(0, 3))
    one = attribute(FlowNetwork.encoder(C), method="shapley", targets=[target])
    two = attribute(FlowNetwork.decoder(C), method="shapley", targets=[target])
    assert (one.scores == two.scores).all()


@given(networks.networks(["decoder closed"], max_size=6), st.data())
def test_nothing_generated_after_the_target_matters(network, data):
    """A closed decoder cut off behind the target gives the same values."""
    target = data.draw(networks.targets_of(network))
    prompt = len(network.players)
    if target + 1 < prompt:
        return
    C = [part.capacity[: target + 1, : target + 1] for part in network.edges if isinstance(part, Block)]
    shorter = FlowNetwork.decoder(C, prompt=prompt, prefix="closed")
    one = attribute(network, method="shapley", targets=[target])
    two = attribute(shorter, method="shapley", targets=[target])
    assert two.scores == pytest.approx(one.scores, abs=1e-9)


def test_the_digest_tells_networks_apart():
    network = networks.encoder_open(np.random.default_rng(0), 3, 2)
    assert replace(network).digest == network.digest
    assert replace(network, own=network.own + 1).digest != network.digest
    other = network.edges[0].capacity.copy()
    other[0, 1] += 1e-12
    edges = (replace(network.edges[0], capacity=other), *network.edges[1:])
    assert replace(network, edges=edges).digest != network.digest


# -- what is refused -----------------------------------------------------------------------------------


def bad(value: float) -> np.ndarray:
    C = networks.causal(np.ones((2, 3, 3)))
    C[1, 2, 1] = value
    return C


@pytest.mark.parametrize("builder", BUILDERS)
def test_nan(builder):
    with pytest.raises(NetworkError, match="coder layer 2: found NaN among the capacities"):
        BUILDERS[builder](bad(np.nan))


@pytest.mark.parametrize("builder", BUILDERS)
def test_negative(builder):
    with pytest.raises(NetworkError, match=r"coder layer 2: found a negative capacity \(-0.25\)"):
        BUILDERS[builder](bad(-0.25))
    with pytest.raises(NetworkError, match="negative capacity"):
        BUILDERS[builder](bad(-np.inf))


@pytest.mark.parametrize("builder", BUILDERS)
def test_infinite_is_an_edge(builder):
    assert not BUILDERS[builder](bad(np.inf)).row_stochastic


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    ("C", "message"),
    [
        (np.ones((3, 3)), r"layer 1: expected capacities \[queries, keys\], found shape \[3\]"),
        (np.ones((2, 1, 3, 3)), r"found shape \[1, 3, 3\]"),
        (np.ones((1, 3, 4)), r"layer 1: expected shape \[3, 3\], found \[3, 4\]"),
        ([np.ones((3, 3)), np.ones((2, 2))], r"layer 2: expected shape \[3, 3\], found \[2, 2\]"),
        (np.ones((1, 0, 0)), r"found shape \[0, 0\]"),
        (np.ones((0, 3, 3)), "expected at least one layer"),
        ([], "expected at least one layer"),
        (np.ones((1, 3, 3), dtype=complex), "expected real numbers, found dtype complex128"),
        (np.ones((1, 3, 3), dtype=bool), "expected real numbers, found dtype bool"),
        (np.array([[["a"]]]), "expected real numbers"),
    ],
)
def test_shapes_and_types(builder, C, message):
    with pytest.raises(NetworkError, match=f"coder.*{message}"):
        BUILDERS[builder](C)


@pytest.mark.parametrize("C", [None, 3, 3.5, [[[1, 2], [3]]], "text", {"a": 1}])
def test_not_capacities_at_all(C):
    with pytest.raises(NetworkError, match=r"encoder.*expected capacities"):
        FlowNetwork.encoder(C)


def test_cross_shapes():
    for cross in (np.ones((1, 3, 2)), np.ones((2, 2, 3)), np.ones((2, 3, 4))):
        with pytest.raises(
            NetworkError, match=r"cross: expected 2 layers of shape \[3, 2\] \(decoder x encoder"
        ):
            FlowNetwork.encoder_decoder(np.eye(2)[None], LOWER, cross, cross_residual=0.5)
    with pytest.raises(NetworkError, match="cross layer 1: found a negative"):
        FlowNetwork.encoder_decoder(np.eye(2)[None], LOWER, -np.ones((2, 3, 2)), cross_residual=0.5)


@pytest.mark.parametrize("residual", [-0.1, np.nan, np.inf])
def test_cross_residual(residual):
    with pytest.raises(NetworkError, match=r"cross_residual=.*expected a number from 0 up, or None"):
        FlowNetwork.encoder_decoder(np.eye(2)[None], LOWER, np.ones((2, 3, 2)), cross_residual=residual)


def test_causality():
    for value in (0.1, 1e-300, np.inf):
        C = networks.causal(np.ones((2, 3, 3)))
        C[1, 0, 2] = value
        for builder in ("decoder", "decoder of encoder-decoder"):
            with pytest.raises(NetworkError, match="decoder layer 2: found capacity from a later position"):
                BUILDERS[builder](C)


@pytest.mark.parametrize("prompt", [0, 4, -1, 1.5, True, "2"])
def test_prompt(prompt):
    with pytest.raises(NetworkError, match=r"prompt=.*expected a number of decoder positions from 1 to 3"):
        FlowNetwork.decoder(LOWER, prompt=prompt, prefix="closed")
    with pytest.raises(NetworkError, match="prompt="):
        FlowNetwork.encoder_decoder(
            np.eye(2)[None], LOWER, np.ones((2, 3, 2)), cross_residual=0.5, prompt=prompt
        )


def test_prefix():
    with pytest.raises(OptionError, match="Unknown prefix 'close': did you mean 'closed'"):
        FlowNetwork.decoder(LOWER, prefix="close")
    encoder = Trace.from_arrays(networks.softmax(np.random.default_rng(0), 1, 3, 3))
    with pytest.raises(OptionError, match="prefix='closed' needs a decoder"):
        FlowNetwork.from_trace(encoder, prefix="closed")
    with pytest.raises(OptionError, match="Unknown prefix 'open'"):
        FlowNetwork.from_trace(encoder, prefix="open")


def test_names_must_fit():
    with pytest.raises(NetworkError, match="Found 2 token names for 3 positions"):
        FlowNetwork.encoder(EYE, tokens=["a", "b"])


def test_no_such_stack():
    with pytest.raises(NetworkError, match="A decoder network has no encoder"):
        FlowNetwork.decoder(LOWER).input_group("encoder")


# -- from a trace --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "encoder": networks.softmax(rng, 4, 5, 5),
        "decoder": networks.causal(networks.softmax(rng, 4, 3, 3)),
        "cross": networks.softmax(rng, 4, 3, 5),
    }


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("layers", [(1, 4), (2, 3), (3, 4), (1, 1), (4, 4)])
def test_layers_are_the_network_of_the_sliced_arrays(arrays, stack, layers):
    first, last = layers
    whole = Trace.from_arrays(**{stack: arrays[stack]})
    part = Trace.from_arrays(**{stack: arrays[stack][first - 1 : last]})
    one, two = FlowNetwork.from_trace(whole, layers=layers), FlowNetwork.from_trace(part)
    assert one.digest == two.digest
    assert one.layers == tuple(f"{stack} {number}" for number in range(first, last + 1))
    assert any(f"Layers {first} to {last} only" in note for note in one.notes)
    found = [attribute(network, method="shapley", targets=[2]) for network in (one, two)]
    assert (found[0].scores == found[1].scores).all()


@pytest.mark.parametrize("layers", [(0, 2), (3, 2), (1, 5), (5, 5), (-1, 2)])
def test_layers_out_of_range(arrays, layers):
    trace = Trace.from_arrays(arrays["encoder"])
    with pytest.raises(OptionError, match=r"layers=.*1 <= first <= last <= 4"):
        FlowNetwork.from_trace(trace, layers=layers)


def test_layers_of_an_encoder_decoder(arrays):
    with pytest.raises(OptionError, match="not defined for encoder-decoder"):
        FlowNetwork.from_trace(Trace.from_arrays(**arrays), layers=(1, 2))


def test_from_trace_carries_what_results_need(arrays):
    trace = replace(
        Trace.from_arrays(
            arrays["encoder"], tokens=list("abcde"), text="abcde", decides=["x", None, None, None, "y"]
        ),
        decisions=(Decision((0,), "positive", probability=0.9),),
        partial=("layer 3",),
        provenance={"model": "tiny"},
    )
    network = FlowNetwork.from_trace(trace)
    assert (network.capacity, network.residual, network.unit) == ("attention", 0.5, "share")
    assert network.text == "abcde"
    assert any("layer 3" in note for note in network.notes)
    result = attribute(network, method="flow", targets=[0, 4, 1])
    assert [target.label for target in result.targets] == ["positive", "y", None]
    assert [target.token for target in result.targets] == ["a", "e", "b"]
    assert result.targets[0].probability == 0.9
    assert result.provenance["model"] == "tiny"
    assert result.notes[: len(network.notes)] == network.notes
    assert network.attention["self"] == pytest.approx(arrays["encoder"][-1])


@pytest.mark.parametrize("prefix", ["players", "closed"])
def test_from_trace_is_the_builder(arrays, prefix):
    trace = Trace.from_arrays(**arrays, prompt=2)
    for residual, past in ((0.5, 0.5), (0.2, 0.2), (0.0, None), ("open", None)):
        found = FlowNetwork.from_trace(trace, residual=residual, prefix=prefix)
        if residual == "open":
            kept = [np.where(np.eye(size), np.inf, arrays[s]) for s, size in (("encoder", 5), ("decoder", 3))]
            by_hand = (*kept, arrays["cross"])
        else:
            by_hand = (
                networks.merged(arrays["encoder"], residual),
                networks.merged(arrays["decoder"], residual),
                (1 - residual) * arrays["cross"],
            )
        built = FlowNetwork.encoder_decoder(*by_hand, cross_residual=past, prefix=prefix, prompt=2)
        assert len(found.edges) == len(built.edges)
        for one, two in zip(found.edges, built.edges):
            assert (one.source, one.target, one.layer) == (two.source, two.target, two.layer)
            assert one.capacity == pytest.approx(two.capacity, rel=1e-12)
        assert [p.nodes for p in found.players] == [p.nodes for p in built.players]


def test_open_residual_takes_the_own_edge_from_the_trace(arrays):
    trace = networks.with_relevance(
        Trace.from_arrays(arrays["encoder"]), encoder=np.array([0.5, -1.0, 0.0, 2.0, 3.0])
    )
    assert not FlowNetwork.from_trace(trace, residual="open").own.any()  # attention knows of no gradient
    network = FlowNetwork.from_trace(trace, "relevance")
    assert network.own.tolist() == [0.5, 0, 0, 2, 3]
    assert not network.row_stochastic
    for target, own in enumerate(network.own):
        # alone, a target's own player sends its own edge, and what leaves it for the others
        value = network.max_flow([target], target=target).value
        others = sum(arrays["encoder"][0][q, target] for q in range(5) if q != target)
        into = sum(arrays["encoder"][-1][target, k] for k in range(5) if k != target)
        assert value >= own - 1e-12
        assert value <= own + others + 1e-12
        assert network.max_flow(target=target).value >= into
    closed = FlowNetwork.from_trace(
        Trace.from_arrays(decoder=arrays["decoder"], prompt=1), residual="open", prefix="closed"
    )
    assert closed.own.tolist() == [0, 0, 0]
    for target in range(1, 3):
        assert np.isfinite(closed.max_flow(target=target).value)
