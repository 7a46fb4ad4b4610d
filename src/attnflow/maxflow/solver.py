"""One target's game: v(S) for coalitions of players, exactly, on as many threads as wanted.

The compiled loops release the interpreter lock, and every thread has scratch arrays of its own; answers
are integers, so that neither the number of threads nor the order of work can change them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError, SolverError
from attnflow.maxflow import desk, games, net, residual
from attnflow.maxflow.desk import Desk
from attnflow.maxflow.graph import INFINITE, LARGEST, Graph, to_units
from attnflow.maxflow.phases import augment
from attnflow.maxflow.threads import run_all, thread_count

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int | None], None]

#: Last layer from which a base flow starts: so early that most of the way is shared, so late that a player's own
#: stream can be spread before; and the same in large contexts.
BASE_LAYER, BASE_LAYER_LARGE = 4, 3
#: Positions from which on a context is large; a first phase then takes wide edges only, see phases.COARSE.
LARGE = 1024

#: One round of one step.
ONE = np.array([0, 1], dtype=np.int64)


class Solver:
    """Solves the game of one target on one network.

    Attributes:
        graph: the network in integer units.
        positions: positions of the target in the last group.
        players: number of players.
    """

    def __init__(
        self,
        network: FlowNetwork,
        target: int | Sequence[int],
        *,
        weights: Sequence[float] | None = None,
        groups: Sequence[Sequence[int]] | None = None,
        threads: int | None = 1,
    ) -> None:
        """Prepares the game.

        Args:
            network: the flow network.
            target: a position of the last group, or a set of them.
            weights: one per position of a set, summing to 1; None for infinite edges to the supersink.
            groups: players as disjoint sequences of indices into `network.players`; None: each alone.
            threads: number of threads; None for all cores.

        Raises:
            NetworkError: target, weights or groups that do not fit the network, or a target that a
                player reaches over infinite edges alone.
        """
        self.network = network
        self.graph: Graph = network._graph
        self.positions = network.positions(target)
        self.threads = thread_count(threads)
        self._net = self.graph.net_for(self.positions)
        self.targets = np.array(
            [self.graph.node(network.final, position) for position in self.positions], dtype=np.int64
        )
        self.demands = self._demands(weights)
        if groups is None:
            groups = [(index,) for index in range(len(network.players))]
        members = _members(groups, len(network.players))
        self.players = len(groups)
        self._member_start = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(
            np.int64
        )
        self._members = self.graph.players[members]
        self._refuse_unbounded(groups)
        self._useful = net.towards(self._net, self.targets, False)
        self._edges = 4 * self.graph.nodes + 1024
        self._distances = max(3, desk.DISTANCES * len(network.groups))
        self._desks: dict[bool, SimpleQueue[Desk]] = {True: SimpleQueue(), False: SimpleQueue()}
        self._stack = self._one_stack()
        self._begin = self._base_layer()
        #: per player, the positions between which a base for it starts
        self._ends = [0] * self.players, [0] * self.players
        #: `[positions]`, the least position that flow from each can get to; 0 where that does not matter
        self._floors = np.zeros(int(np.diff(self.graph.start).max()), dtype=np.int64)
        if self._stack:
            least, most = self.graph.reach
            self._floors = least[-1]
            if self._begin:
                at = self._net.nodes.reshape(-1, 8)[self._members, net.AT]
                low = np.minimum.reduceat(least[self._begin, at], self._member_start[:-1])
                high = np.maximum.reduceat(most[self._begin, at], self._member_start[:-1])
                self._ends = low.tolist(), high.tolist()
        # flow may pass through a player's node that edges enter: then what leaves it is not his alone
        own = set(self._net.nodes.reshape(-1, 8)[self._members, net.GROUP].tolist())
        self._entered = any(edges.target in own for edges in network.edges)

    # -- values ----------------------------------------------------------------------------------------

    def grand(self) -> int:
        """Returns v(N) in units."""
        return self.value(range(self.players))

    def value(self, coalition: Sequence[int], limit: int = INFINITE) -> int:
        """Returns v(S) in units, or `limit` if it is at least that."""
        chosen = np.unique(np.asarray(coalition, dtype=np.int64))
        gains = np.zeros(1, dtype=np.int64)
        self._play(ONE, np.array([0, chosen.size]), chosen, gains, limit=limit)
        return int(gains[0])

    def singles(self, progress: Progress | None = None) -> tuple[Ints, Ints]:
        """Returns v({j}) in units and the bottleneck layer of every player, each checked against its cut.

        Raises:
            SolverError: a flow differs from its cut.
        """
        units = np.zeros(self.players, dtype=np.int64)
        bottleneck = np.zeros(self.players, dtype=np.int64)

        def work(chosen: Ints) -> None:
            found, where = np.zeros(chosen.size, dtype=np.int64), np.zeros(chosen.size, dtype=np.int64)
            self._play_single(grand, chosen, found, cuts=where)
            if (where < 0).any():
                raise SolverError(
                    f"The flow from player {chosen[where < 0][0]} alone differs from its minimum cut: a defect in "
                    "attnflow; please report it with the network."
                )
            units[chosen], bottleneck[chosen] = found, where

        grand = self.grand() if self._stack else 0
        self._share(work, np.arange(self.players), "single players", progress)
        return units, bottleneck

    def singles_up_to(self, grand: int, progress: Progress | None = None) -> Ints:
        """Returns v({j}) in units of every player. None is more than v(N), so that no cut is asked for at it.

        Args:
            grand: v(N) in units.
            progress: called as work is done.
        """
        units = np.zeros(self.players, dtype=np.int64)

        def work(chosen: Ints) -> None:
            found = np.zeros(chosen.size, dtype=np.int64)
            self._play_single(grand, chosen, found, limit=grand)
            units[chosen] = found

        self._share(work, np.arange(self.players), "single players", progress)
        return units

    def without(self, grand: int, singles: Ints, progress: Progress | None = None) -> Ints:
        """Returns v(N minus j) in units for every player.

        A player who sends nothing in one maximum flow is not needed for it: only the others are solved.
        Players who can send much alone join first, so that few are needed.

        Args:
            grand: v(N) in units.
            singles: v({j}) in units.
            progress: called as work is done.
        """
        units = np.full(self.players, grand, dtype=np.int64)
        if self.players == 1:
            units[:] = 0
            return units
        ranking = np.argsort(-singles, kind="stable")
        ends = 2 ** np.arange(1, self.players.bit_length())
        needed = self._needed(grand, np.split(ranking, ends - 1))
        if needed.size > self.players // 4:  # joining one after the other saves nothing
            ends = ends[:0]

        def work(chosen: Ints) -> None:
            found = np.zeros(chosen.size, dtype=np.int64)
            for place, j in enumerate(chosen):
                joining = np.split(ranking[ranking != j], ends - 1)
                gains = np.zeros(len(joining), dtype=np.int64)
                steps = np.concatenate([[0], np.cumsum([part.size for part in joining])])
                rounds = np.array([0, len(joining)])
                self._play(rounds, steps, np.concatenate(joining), gains, limit=grand)
                found[place] = gains.sum()
            units[chosen] = found

        self._share(work, needed, "all but one", progress)
        return units

    def subsets(self, grand: int, progress: Progress | None = None) -> Ints:
        """Returns v(S) in units for all 2^players coalitions; bit j of the index says that j is in S."""
        units = np.zeros(1 << self.players, dtype=np.int64)

        def work(chosen: Ints) -> None:
            inside = chosen[:, None] >> np.arange(self.players) & 1
            steps = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
            found = np.zeros(chosen.size, dtype=np.int64)
            self._play(np.arange(chosen.size + 1), steps, np.nonzero(inside)[1], found, limit=grand)
            units[chosen] = found

        self._share(work, np.arange(units.size), "coalitions", progress)
        return units

    def orders(self, order: Ints, grand: int, progress: Progress | None = None) -> Ints:
        """Returns what each player adds, in units, when players join in each order.

        Args:
            order: `[orders, players]`, permutations.
            grand: v(N) in units.
            progress: called as work is done.

        Returns:
            int64 `[orders, players]`; every row sums to `grand`.
        """
        marginal = np.zeros(order.shape, dtype=np.int64)

        def work(chosen: Ints) -> None:
            joining = order[chosen]
            gains = np.zeros(joining.size, dtype=np.int64)
            rounds = np.arange(chosen.size + 1) * self.players
            self._play(rounds, np.arange(joining.size + 1), joining.ravel(), gains, limit=grand)
            placed = np.zeros(joining.shape, dtype=np.int64)
            np.put_along_axis(placed, joining, gains.reshape(joining.shape), axis=1)
            marginal[chosen] = placed

        self._share(work, np.arange(len(order)), "orders", progress)
        return marginal

    def flow(self, supply: dict[int, int]) -> tuple[int, Ints, NDArray[np.bool_]]:
        """Finds one maximum flow and keeps it.

        Args:
            supply: what each player may send, in units; INFINITE for any amount.

        Returns:
            The value, the flow on every edge, and the mask of nodes on the players' side of a minimum cut.
        """
        chosen = np.array(sorted(supply), dtype=np.int64)
        supplies = np.zeros(self.players, dtype=np.int64)
        supplies[chosen] = [supply[j] for j in chosen.tolist()]
        gains = np.zeros(1, dtype=np.int64)
        flow = np.zeros(self.graph.size, dtype=np.int64)
        seen = np.zeros(self.graph.nodes, dtype=np.bool_)

        def read(room: Desk) -> None:
            flow[:] = self._flow_in(room)
            seen[:] = ~net.as_mask(self._net, desk.row(room, desk.UNSEEN)) | ~self._useful

        everyone = np.array([0, chosen.size])
        self._play(ONE, everyone, chosen, gains, supplies=supplies, read=read)
        return int(gains[0]), flow, seen

    def outgoing(self) -> Ints:
        """Returns, in units, the capacity that leaves each player's nodes; INFINITE if any of it is."""
        shared = self._net is self.graph.net
        everywhere = self.graph.leaving if shared else net.leaving(self._net)
        leaving: Ints = everywhere[self._members]
        if leaving.size == self.players:
            return leaving
        groups = np.split(leaving, self._member_start[1:-1])
        return np.array([min(INFINITE, sum(group.tolist())) for group in groups], dtype=np.int64)

    # -- inside ----------------------------------------------------------------------------------------

    def _needed(self, grand: int, joining: Sequence[Ints]) -> Ints:
        """Players that send something in one maximum flow, when players join in these steps."""
        chosen = np.concatenate(joining)
        steps = np.concatenate([[0], np.cumsum([part.size for part in joining])])
        found = np.zeros(self._members.size, dtype=np.int64)
        gains = np.zeros(len(joining), dtype=np.int64)

        def read(room: Desk) -> None:
            residual.sending(self._net.table, room.table, self._members, found)

        self._play(np.array([0, len(joining)]), steps, chosen, gains, limit=grand, read=read)
        return np.unique(np.repeat(np.arange(self.players), np.diff(self._member_start))[found != 0])

    def _play(
        self,
        rounds: Ints,
        steps: Ints,
        chosen: Ints,
        gains: Ints,
        *,
        limit: int = INFINITE,
        supplies: Ints | None = None,
        read: Callable[[Desk], None] | None = None,
    ) -> None:
        """Plays rounds, see games.play, in larger scratch where flows need it; `read` sees the last."""
        themselves = self._entered or supplies is not None or read is not None
        room = self._take(False)
        first, count = 0, rounds.size - 1
        while first < count:
            # the first layer's streams are not all open: they are passed over only where players' edges are not walked
            room.meta[desk.OPEN] = self._stack and self.network.own is not None and not themselves
            first = games.play(
                self._net.table,
                room.table,
                self._member_start,
                self._members,
                np.full(self.players, INFINITE) if supplies is None else supplies,
                themselves,
                rounds,
                steps,
                np.ascontiguousarray(chosen),
                first,
                limit,
                gains,
            )
            if first < count:
                _check_answer(first)
                room = self._larger(room)
        if read is not None:
            read(room)
        self._desks[False].put(room)

    def _play_single(
        self, grand: int, chosen: Ints, units: Ints, *, limit: int = INFINITE, cuts: Ints | None = None
    ) -> None:
        """Solves for single players over a shared base flow, see games.play_single.

        Args:
            grand: v(N) in units.
            chosen: players.
            units: `[chosen]`, filled with v({j}).
            limit: no value is larger.
            cuts: `[chosen]`, filled with bottlenecks.
        """
        room = self._take(True)
        first = 0
        while first < chosen.size:
            if not self._laid(room, grand, int(chosen[chosen.size // 2])):
                room = self._larger(room)
                continue
            first = games.play_single(
                self._net.table,
                room.table,
                self.targets,
                self.demands,
                self._floors,
                self._member_start,
                self._members,
                chosen,
                first,
                limit,
                units,
                np.zeros(0 if cuts is None else len(self.network.layers) + 2, dtype=np.int64),
                np.zeros(0, dtype=np.int64) if cuts is None else cuts,
            )
            if first < chosen.size:
                _check_answer(first)
                room = self._larger(room)
        self._desks[True].put(room)

    def _take(self, alone: bool) -> Desk:
        """Scratch that no other thread uses, for single players or for coalitions."""
        try:
            return self._desks[alone].get_nowait()
        except Empty:
            return self._desk(alone)

    def _larger(self, room: Desk) -> Desk:
        """Scratch for four times as many edges with flow, or distances, whichever were too few."""
        meta = room.meta
        pages, entries = meta[desk.MOST_PAGES] - desk.PAGES_LEFT, meta[desk.MOST_LOGGED] - desk.ENTRIES_LEFT
        if meta[desk.PAGES] > pages or meta[desk.LOGGED] > entries:
            self._edges = max(self._edges, 4 * int(meta[desk.MOST_PAGES]))
        else:
            longest = min(4 * int(meta[desk.MOST_LEVELS]), self.graph.nodes + 3)
            self._distances = max(self._distances, longest)
        return self._desk(meta[desk.ALONE] != 0)

    def _desk(self, alone: bool) -> Desk:
        """New scratch; for coalitions the targets are owed already what they can take."""
        useful = self._useful
        layers = len(self.network.edges)
        opened = self._stack and self.network.own is not None
        if opened and alone:
            useful = useful.copy().reshape(layers + 1, -1)
            useful[1:, self.positions[0]] = False
            useful = useful.ravel()
        room = desk.make(self._net, useful, self._edges, self._distances, augment.address)
        room.meta[desk.ALONE] = alone
        if opened and alone:
            room.meta[[desk.OPEN, desk.SINK]] = 1, self.positions[0]
        elif self._stack and alone:
            room.meta[desk.DEEPEST] = self._begin or layers
            room.meta[desk.WIDE] = self.network.size >= LARGE
        if not alone:
            games.owe(self._net.table, room.table, 0, 0, 0, 0, self.targets, self.demands)
        return room

    def _base_layer(self) -> int:
        """Last layer of a stack from which base flows start; 0 for none."""
        if not self._stack or self.network.own is not None:
            return 0
        wanted = BASE_LAYER_LARGE if self.network.size >= LARGE else BASE_LAYER
        return min(wanted, len(self.network.edges) - 1)

    def _laid(self, room: Desk, grand: int, player: int) -> bool:
        """True if a base flow is laid for players like this one, if there is any; False if scratch is too small."""
        begin, low, high = self._begin, self._ends[0][player], self._ends[1][player]
        if room.meta[desk.LOW_END] == low and room.meta[desk.HIGH_END] == high:
            return True
        found = games.owe(self._net.table, room.table, begin, low, high, grand, self.targets, self.demands)
        _check_answer(found)
        return bool(found != desk.FULL)

    def _one_stack(self) -> bool:
        """True if the network is one stack of layers, and a target that fits where its streams are open."""
        layers, n = len(self.network.edges), self.network.size
        if len(self.network.groups) != layers + 1 or any(group.size != n for group in self.network.groups):
            return False
        for layer, edges in enumerate(self.network.edges):
            if edges.capacity.ndim != 2 or (edges.source, edges.target) != (layer, layer + 1):
                return False
        if self.network.own is None:
            return True
        if len(self.positions) > 1 or self.demands[0] < INFINITE:
            return False
        streams = self._net.along.reshape(layers + 1, n)[1:].copy()
        streams[0, self.positions[0]] = INFINITE
        return bool((streams == INFINITE).all())

    def _flow_in(self, room: Desk) -> Ints:
        """Flow on every edge."""
        flow = np.zeros(self.graph.size, dtype=np.int64)
        residual.flows(self._net.table, room.table, flow)
        nodes = np.flatnonzero(self.graph.streams >= 0)
        flow[self.graph.streams[nodes]] = room.state.reshape(-1, 4)[nodes, desk.CHAIN]
        return flow

    def _nodes_of(self, player: int) -> Ints:
        members: Ints = self._members[self._member_start[player] : self._member_start[player + 1]]
        return members

    def _demands(self, weights: Sequence[float] | None) -> Ints:
        if weights is None:
            return np.full(self.targets.size, INFINITE, dtype=np.int64)
        share = np.asarray(weights, dtype=np.float64)
        if share.shape != (self.targets.size,):
            raise NetworkError(
                f"Found {share.size} weights for {self.targets.size} target positions; expected one for each."
            )
        if not np.isfinite(share).all() or share.min() < 0 or abs(share.sum() - 1) > 1e-6:
            raise NetworkError(
                f"Target weights must be finite, from 0 up, and sum to 1; found a sum of {share.sum():.6g}."
            )
        # no total reaches LARGEST, so that a larger demand is no limit either
        most = np.ldexp(float(LARGEST), -self.graph.exponent)
        return to_units(np.minimum(share, most), self.graph.exponent)

    def _refuse_unbounded(self, groups: Sequence[Sequence[int]]) -> None:
        """Refuses a target node that some player reaches over infinite edges alone."""
        if not np.isinf(self._net.given.max(initial=0.0)) and not (self._net.along == INFINITE).any():
            return
        seen = net.towards(self._net, self.targets[self.demands >= INFINITE], True)
        for number, group in enumerate(groups):
            if seen[self._nodes_of(number)].any():
                labels = " ".join(self.network.players[index].label for index in group)
                positions = " ".join(str(position) for position in self.positions)
                raise NetworkError(
                    f"Target position {positions} is reached from player {labels!r} over infinite edges alone, so "
                    "its flow is unbounded: give that path a finite capacity."
                )

    def _share(
        self,
        work: Callable[[Ints], None],
        items: NDArray[Any],
        stage: str,
        progress: Progress | None,
    ) -> None:
        """Splits items over threads, in chunks small enough to report on."""
        chunks = np.array_split(items, min(len(items), max(4 * self.threads, 16))) if len(items) else []

        done = 0

        def run(chunk: Ints) -> int:
            work(chunk.astype(np.int64))
            return len(chunk)

        def finished(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(stage, done, len(items))

        run_all(run, chunks, self.threads, finished)


def _check_answer(found: int) -> None:
    """Refuses what a loop answers when capacities are not what they were."""
    if found == desk.BROKEN:
        raise SolverError(
            "Capacities were changed after the network had been solved once: make a new network of the new ones."
        )


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
