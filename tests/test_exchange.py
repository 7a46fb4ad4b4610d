"""Networks as graphs of other libraries: the same nodes, edges and maximum flows."""

from __future__ import annotations

import builtins
import math

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
from attnflow.errors import MissingExtraError
from attnflow.exchange import edges, nodes
from attnflow.network import FlowNetwork

#: An open residual's own edges belong to the target asked about, which a graph does not know.
KINDS = sorted(name for name in networks.KINDS if not name.endswith("open"))


@given(networks.networks(KINDS, max_size=4), st.data())
def test_networkx_gives_the_same_maximum_flow(network, data):
    target = data.draw(networks.targets_of(network))
    players = data.draw(networks.coalitions_of(network))
    graph = network.to_networkx()
    final = network.groups[-1]
    for j in players:
        ((stack, position),) = network.players[j].nodes
        graph.add_edge("source", (stack, 0, position))
    graph.add_node("source")
    value = networkx.maximum_flow_value(
        graph,
        "source",
        (final.stack, final.layer, target),
        flow_func=networkx.algorithms.flow.edmonds_karp,
    )
    assert network.max_flow(players, target=target).value == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(networks.networks(KINDS, max_size=4), st.data())
def test_igraph_gives_the_same_maximum_flow(network, data):
    target = data.draw(networks.targets_of(network))
    j = data.draw(st.integers(0, len(network.players) - 1))
    graph = network.to_igraph()
    ((stack, position),) = network.players[j].nodes
    final = network.groups[-1]

    def vertex(*wanted):
        ((found,),) = [[v.index] for v in graph.vs if (v["stack"], v["layer"], v["position"]) == wanted]
        return found

    finite = [capacity for capacity in graph.es["capacity"] if math.isfinite(capacity)]
    large = 2 * sum(finite) + 1
    capacity = [min(found, large) for found in graph.es["capacity"]]
    value = graph.maxflow_value(
        vertex(stack, 0, position), vertex(final.stack, final.layer, target), capacity=capacity
    )
    assert network.max_flow([j], target=target).value == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(networks.networks() | networks.drawn())
def test_both_hold_every_edge_once(network):
    graph, other = network.to_networkx(), network.to_igraph()
    names = nodes(network)
    assert list(graph.nodes) == names
    assert len(set(names)) == sum(group.size for group in network.groups)
    listed = {(names[a], names[b]): capacity for a, b, capacity in edges(network)}
    count = sum(int((part.capacity > 0).sum()) for part in network.edges)
    assert graph.number_of_edges() == other.ecount() == len(listed) == count
    for tail, head, capacity in graph.edges(data="capacity", default=np.inf):
        assert listed[tail, head] == capacity
        assert type(capacity) is float
    vertices = list(zip(other.vs["stack"], other.vs["layer"], other.vs["position"]))
    assert vertices == names
    found = {(names[e.source], names[e.target]): e["capacity"] for e in other.es}
    assert found == listed


def test_by_hand():
    network = FlowNetwork.decoder([[[1.0, 0.0], [0.25, np.inf]]], prompt=1, prefix="closed")
    graph = network.to_networkx()
    assert dict(graph.edges) == {
        (("decoder", 0, 0), ("decoder", 1, 0)): {"capacity": 1.0},
        (("decoder", 0, 0), ("decoder", 1, 1)): {"capacity": 0.25},
        (("decoder", 0, 1), ("decoder", 1, 1)): {},
        (("decoder", 1, 0), ("decoder", 0, 1)): {},
    }
    assert sorted(network.to_igraph().es["capacity"]) == [0.25, 1.0, np.inf, np.inf]


@pytest.mark.parametrize(("library", "convert"), [("networkx", "to_networkx"), ("igraph", "to_igraph")])
def test_a_library_that_is_missing(monkeypatch, library, convert):
    real = builtins.__import__

    def without(name, *rest):
        if name == library:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    network = FlowNetwork.encoder(np.eye(2)[None])
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed.*attnflow\[graph\]"):
        getattr(network, convert)()
