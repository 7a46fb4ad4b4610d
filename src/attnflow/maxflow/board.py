"""What games of the same players on one network share, whatever their targets: the players' nodes, and scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError
from attnflow.maxflow import desk, net
from attnflow.maxflow.desk import Desk
from attnflow.maxflow.graph import INFINITE, Graph
from attnflow.maxflow.net import Net

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]

#: Last layer from which a base flow starts: so early that most of the way is shared, so late that a player's own
#: stream can be spread before; and the same in large contexts.
BASE_LAYER, BASE_LAYER_LARGE = 4, 3
#: Positions from which on a context is large; a first phase then takes wide edges only, see phases.COARSE.
LARGE = 1024


class Board:
    """Players on a network, and scratch tables that their games hand on to each other.

    Attributes:
        network: the flow network.
        graph: it in integer units.
        groups: players as indices into `network.players`.
        players: number of players.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of all players, one player after the other.
        entered: True if edges enter a group of nodes in which players are: what leaves a player's node is then not
            his alone.
        layered: True if the network is one stack of layers.
        large: True if a first phase takes wide edges only.
        begin: last layer of a stack from which base flows start; 0 for none.
        ends: per player, the positions between which a base for it starts.
        in_runs: True if these are not the same for all: neighbours are then solved together.
        floors: `[positions]`, the least position that flow from each can get to; 0 where that does not matter.
    """

    def __init__(self, network: FlowNetwork, groups: Sequence[Sequence[int]] | None = None) -> None:
        """Finds the players.

        Args:
            network: the flow network.
            groups: players as disjoint sequences of indices into `network.players`; None: each alone.

        Raises:
            NetworkError: groups that do not fit the network.
        """
        self.network = network
        self.graph: Graph = network._graph
        if groups is None:
            groups = [(index,) for index in range(len(network.players))]
        self.groups = groups
        self.players = len(groups)
        self.member_start = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(
            np.int64
        )
        self.members = self.graph.players[_members(groups, len(network.players))]
        nodes = self.graph.net.nodes.reshape(-1, 8)[self.members]
        own = set(nodes[:, net.GROUP].tolist())
        self.entered = any(edges.target in own for edges in network.edges)
        layers = len(network.edges)
        self.layered = len(network.groups) == layers + 1 and all(
            edges.capacity.shape == (network.size, network.size)
            and (edges.source, edges.target) == (layer, layer + 1)
            for layer, edges in enumerate(network.edges)
        )
        self.large = network.size >= LARGE
        self.begin = 0
        if self.layered and network.own is None:
            self.begin = min(BASE_LAYER_LARGE if self.large else BASE_LAYER, layers - 1)
        self.ends = [0] * self.players, [0] * self.players
        self.floors = np.zeros(int(np.diff(self.graph.start).max()), dtype=np.int64)
        if self.layered:
            least, most = self.graph.reach
            self.floors = least[-1]
            if self.begin:
                low = np.minimum.reduceat(least[self.begin, nodes[:, net.AT]], self.member_start[:-1])
                high = np.maximum.reduceat(most[self.begin, nodes[:, net.AT]], self.member_start[:-1])
                self.ends = low.tolist(), high.tolist()
        self.in_runs = any(len(set(ends)) > 1 for ends in self.ends)
        self._edges = 4 * self.graph.nodes + 1024
        self._distances = max(3, desk.DISTANCES * len(network.groups))
        self._free: list[Desk] = []
        self._outgoing: Ints | None = None

    def outgoing(self, seen: Net) -> Ints:
        """Capacity that leaves each player's nodes in units, INFINITE if any of it is.

        Args:
            seen: what loops see of the network; a target's own where streams are open.
        """
        shared = seen is self.graph.net
        if shared and self._outgoing is not None:
            return self._outgoing
        after = seen.nodes.reshape(-1, 8)[self.members, net.AFTER]
        streams = np.where(after < 0, 0, seen.along[after])
        leaving: Ints = np.minimum(self.graph.leaving[self.members], INFINITE - streams) + streams
        if leaving.size > self.players:
            groups = np.split(leaving, self.member_start[1:-1])
            leaving = np.array([min(INFINITE, sum(group.tolist())) for group in groups], dtype=np.int64)
        if shared:
            leaving.flags.writeable = False
            self._outgoing = leaving
        return leaving

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes scratch of its own: in tables there are addresses of tables."""
        return {**self.__dict__, "_free": []}

    def take(self) -> Desk:
        """Scratch that no other thread uses: what was given back last, else new."""
        try:
            return self._free.pop()
        except IndexError:
            return desk.make(self.graph.net, self._edges, self._distances)

    def give(self, room: Desk) -> None:
        """Takes scratch back."""
        self._free.append(room)

    def larger(self, room: Desk) -> Desk:
        """New scratch for four times as many edges with flow, or distances, whichever were too few."""
        meta = room.meta
        pages, entries = meta[desk.MOST_PAGES] - desk.PAGES_LEFT, meta[desk.MOST_LOGGED] - desk.ENTRIES_LEFT
        if meta[desk.PAGES] > pages or meta[desk.LOGGED] > entries:
            self._edges = max(self._edges, 4 * int(meta[desk.MOST_PAGES]))
        else:
            longest = min(4 * int(meta[desk.MOST_LEVELS]), self.graph.nodes + 3)
            self._distances = max(self._distances, longest)
        return desk.make(self.graph.net, self._edges, self._distances)


def _members(groups: Sequence[Sequence[int]], players: int) -> Ints:
    """The members of all groups, one group after the other.

    Raises:
        NetworkError: a group without a member, a member of two groups, or one that is no player.
    """
    for number, group in enumerate(groups):
        if not len(group):
            raise NetworkError(f"Player {number} has no position: expected one at least.")
    members = [index for group in groups for index in group]
    for index in members:
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < players:
            raise NetworkError(f"Player {index!r}: expected an index from 0 to {players - 1}.")
    if len(set(members)) != len(members):
        raise NetworkError("A position belongs to two players, or to one twice: expected disjoint groups.")
    return np.array(members, dtype=np.int64)
