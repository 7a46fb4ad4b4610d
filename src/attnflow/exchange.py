"""Flow networks as graphs of other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from attnflow.errors import MissingExtraError
from attnflow.network import Block, FlowNetwork

if TYPE_CHECKING:
    import igraph
    import networkx

Node = tuple[str, int, int]


def nodes(network: FlowNetwork) -> list[Node]:
    """Every node as `(stack, layer, position)`, in the order of the groups."""
    return [(group.stack, group.layer, p) for group in network.groups for p in range(group.size)]


def edges(network: FlowNetwork) -> Iterator[tuple[int, int, float]]:
    """Every edge as `(tail, head, capacity)`, nodes by index into `nodes`; absent edges left out."""
    start = np.concatenate([[0], np.cumsum([group.size for group in network.groups])])
    for part in network.edges:
        tail, head = int(start[part.source]), int(start[part.target])
        if isinstance(part, Block):
            for q, k in zip(*np.nonzero(part.capacity)):
                yield tail + int(k), head + int(q), float(part.capacity[q, k])
        else:
            for index in np.flatnonzero(part.capacity):
                at = part.first + int(index)
                yield tail + at, head + at + part.shift, float(part.capacity[index])


def to_networkx(network: FlowNetwork) -> networkx.DiGraph:
    """Builds a networkx graph. See `FlowNetwork.to_networkx`."""
    try:
        import networkx
    except ImportError as error:
        raise MissingExtraError("networkx", "graph") from error
    graph = networkx.DiGraph()
    names = nodes(network)
    graph.add_nodes_from(names)
    for tail, head, capacity in edges(network):
        attributes = {} if np.isinf(capacity) else {"capacity": capacity}
        graph.add_edge(names[tail], names[head], **attributes)
    return graph


def to_igraph(network: FlowNetwork) -> igraph.Graph:
    """Builds an igraph graph. See `FlowNetwork.to_igraph`."""
    try:
        import igraph
    except ImportError as error:
        raise MissingExtraError("igraph", "graph") from error
    names = nodes(network)
    found = list(edges(network))
    graph = igraph.Graph(n=len(names), edges=[(tail, head) for tail, head, _ in found], directed=True)
    for index, attribute in enumerate(("stack", "layer", "position")):
        graph.vs[attribute] = [name[index] for name in names]
    graph.es["capacity"] = [capacity for _, _, capacity in found]
    return graph
