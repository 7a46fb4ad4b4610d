"""One target's game: v(S) for coalitions of players, exactly, on as many threads as wanted.

The compiled loops release the interpreter lock, and every thread has scratch arrays of its own; answers
are integers, so that neither the number of threads nor the order of work can change them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError, SolverError
from attnflow.maxflow import kernels, streams
from attnflow.maxflow.graph import INFINITE, LARGEST, Graph, to_units
from attnflow.maxflow.threads import run_all, thread_count

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int | None], None]

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
        nodes = [[_node(network, self.graph, index) for index in group] for group in groups]
        self.players = len(nodes)
        sizes = [len(group) for group in nodes]
        self._member_start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._members = np.array([node for group in nodes for node in group], dtype=np.int64)
        self._refuse_unbounded(groups)
        self._useful = kernels.towards(self._net, self.targets, np.nextafter(0.0, 1.0))
        self._rooms: SimpleQueue[kernels.Room] = SimpleQueue()
        self._records = 4 * self.graph.nodes + 1024
        self._streams = streams.find(self)
        self._desks: SimpleQueue[streams.Desk] = SimpleQueue()

    # -- values ----------------------------------------------------------------------------------------

    def grand(self) -> int:
        """Returns v(N) in units."""
        return self.value(range(self.players))

    def value(self, coalition: Sequence[int], limit: int = INFINITE) -> int:
        """Returns v(S) in units, or `limit` if it is at least that."""
        chosen = np.asarray(coalition, dtype=np.int64)
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
            if self._streams is None:
                each = np.arange(chosen.size + 1)
                self._play(each, each, chosen, found, cuts=where)
            else:
                self._play_single(grand, chosen, found, cuts=where)
            if (where < 0).any():
                raise SolverError(
                    f"The flow from player {chosen[where < 0][0]} alone differs from its minimum cut: a defect in "
                    "attnflow; please report it with the network."
                )
            units[chosen], bottleneck[chosen] = found, where

        grand = 0 if self._streams is None else self.grand()
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
            if self._streams is None:
                each = np.arange(chosen.size + 1)
                self._play(each, each, chosen, found, limit=grand)
            else:
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

    def flow(self, supply: dict[int, int], limit: int = INFINITE) -> tuple[int, Ints, NDArray[np.bool_]]:
        """Finds one maximum flow and keeps it.

        Args:
            supply: what each player may send, in units; INFINITE for any amount.
            limit: where to stop.

        Returns:
            The value, the flow on every edge, and the mask of nodes on the players' side of a minimum cut.
        """
        chosen = np.array(sorted(supply), dtype=np.int64)
        supplies = np.zeros(self.players, dtype=np.int64)
        supplies[chosen] = [supply[j] for j in chosen.tolist()]
        gains = np.zeros(1, dtype=np.int64)
        flow = np.zeros(self.graph.size, dtype=np.int64)
        seen = np.zeros(self.graph.nodes, dtype=np.bool_)

        def read(room: kernels.Room) -> None:
            used = room.records[: room.meta[kernels.USED]]
            flow[used[:, kernels.OF]] = used[:, kernels.FLOW]
            seen[:] = (room.nodes[:, kernels.LABEL] > room.meta[kernels.CLOCK]) | ~self._useful

        everyone = np.array([0, chosen.size])
        self._play(ONE, everyone, chosen, gains, limit=limit, supplies=supplies, read=read)
        return int(gains[0]), flow, seen

    def outgoing(self) -> Ints:
        """Returns, in units, the capacity that leaves each player's nodes; INFINITE if any of it is."""
        leaving = kernels.leaving(self._net)
        return np.array(
            [
                min(INFINITE, sum(int(leaving[node]) for node in self._nodes_of(j)))
                for j in range(self.players)
            ],
            dtype=np.int64,
        )

    # -- inside ----------------------------------------------------------------------------------------

    def _needed(self, grand: int, joining: Sequence[Ints]) -> Ints:
        """Players that send something in one maximum flow, when players join in these steps."""
        chosen = np.concatenate(joining)
        steps = np.concatenate([[0], np.cumsum([part.size for part in joining])])
        sent = np.zeros(self.graph.nodes, dtype=np.int64)

        def read(room: kernels.Room) -> None:
            used = room.records[: room.meta[kernels.USED]]
            np.add.at(sent, used[:, kernels.TAIL], used[:, kernels.FLOW])

        gains = np.zeros(len(joining), dtype=np.int64)
        self._play(np.array([0, len(joining)]), steps, chosen, gains, limit=grand, read=read)
        return np.array([j for j in range(self.players) if sent[self._nodes_of(j)].any()], dtype=np.int64)

    def _play(
        self,
        rounds: Ints,
        steps: Ints,
        chosen: Ints,
        gains: Ints,
        *,
        limit: int = INFINITE,
        supplies: Ints | None = None,
        cuts: Ints | None = None,
        read: Callable[[kernels.Room], None] | None = None,
    ) -> None:
        """Plays rounds, see kernels.play, in a larger room where flows need one; `read` sees the last."""
        try:
            room = self._rooms.get_nowait()
        except Empty:
            room = kernels.make_room(self._net, self._records, self._useful)
        first, count = 0, rounds.size - 1
        while first < count:
            first = kernels.play(
                self._net,
                room,
                self.targets,
                self.demands,
                self._member_start,
                self._members,
                np.full(self.players, INFINITE) if supplies is None else supplies,
                rounds,
                steps,
                np.ascontiguousarray(chosen),
                first,
                limit,
                gains,
                -1 if cuts is None else len(self.network.layers),
                np.zeros(0, dtype=np.int64) if cuts is None else cuts,
            )
            if first < count:
                self._records = max(self._records, min(4 * room.records.shape[0], self.graph.size + 2))
                room = kernels.make_room(self._net, self._records, self._useful)
        if read is not None:
            read(room)
        self._rooms.put(room)

    def _play_single(
        self, grand: int, chosen: Ints, units: Ints, *, limit: int = INFINITE, cuts: Ints | None = None
    ) -> None:
        """Solves for single players over a shared base flow, see streams.play_single.

        Args:
            grand: v(N) in units.
            chosen: players.
            units: `[chosen]`, filled with v({j}).
            limit: no value is larger.
            cuts: `[chosen]`, filled with bottlenecks.
        """
        assert self._streams is not None
        desk = None
        with contextlib.suppress(Empty):
            desk = self._desks.get_nowait()
        middle = int(chosen[chosen.size // 2])
        game = (self._streams, self.targets, self.demands, grand, self._nodes_of(middle))
        desk = streams.lay(*game, self._records, desk)
        first = 0
        while first < chosen.size:
            first = streams.play_single(
                self._streams,
                desk,
                self.targets,
                self.demands,
                self._member_start,
                self._members,
                chosen,
                first,
                limit,
                units,
                -1 if cuts is None else len(self.network.layers),
                np.zeros(0, dtype=np.int64) if cuts is None else cuts,
            )
            if first < chosen.size:
                self._records = max(self._records, 4 * desk.records.shape[0])
                desk = streams.lay(*game, self._records)
        self._desks.put(desk)

    def _nodes_of(self, player: int) -> Ints:
        return self._members[self._member_start[player] : self._member_start[player + 1]]

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
        if not np.isinf(self._net.given.max(initial=0.0)) and not np.isinf(self._net.link_capacity).any():
            return
        seen = kernels.towards(self._net, self.targets[self.demands >= INFINITE], np.inf)
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


def _node(network: FlowNetwork, graph: Graph, index: int) -> int:
    if (
        isinstance(index, bool)
        or not isinstance(index, (int, np.integer))
        or not 0 <= index < len(network.players)
    ):
        raise NetworkError(f"Player {index!r}: expected an index from 0 to {len(network.players) - 1}.")
    ((stack, position),) = network.players[index].nodes
    return graph.node(network.input_group(stack), position)
