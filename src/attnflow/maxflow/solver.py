"""One target's game: v(S) for coalitions of players, exactly, on as many threads as wanted.

The compiled loops release the interpreter lock, and every thread has scratch arrays of its own; answers
are integers, so that neither the number of threads nor the order of work can change them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError, OptionError, SolverError
from attnflow.maxflow import kernels
from attnflow.maxflow.graph import INFINITE, LARGEST, Graph, to_units

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int | None], None]


def thread_count(threads: int | None) -> int:
    """Number of solver threads: as asked, else the cores this process may use.

    Raises:
        OptionError: not a positive integer.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise OptionError(f"threads={threads!r}: expected a positive integer, or None for all cores.")
    return threads


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
        self._capacity = self.graph.capacity_for(self.positions)
        self._demand = self._demands(weights)
        if groups is None:
            groups = [(index,) for index in range(len(network.players))]
        nodes = [[_node(network, self.graph, index) for index in group] for group in groups]
        self.players = len(nodes)
        sizes = [len(group) for group in nodes]
        self._member_start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._members = np.array([node for group in nodes for node in group], dtype=np.int64)
        self._refuse_unbounded(groups)
        self._rooms: SimpleQueue[kernels.Room] = SimpleQueue()

    # -- values ----------------------------------------------------------------------------------------

    def grand(self) -> int:
        """Returns v(N) in units."""
        return self.value(range(self.players))

    def value(self, coalition: Sequence[int], limit: int = INFINITE) -> int:
        """Returns v(S) in units, or `limit` if it is at least that."""
        chosen = np.asarray(coalition, dtype=np.int64)
        with self._room() as room:
            return int(kernels.coalition(*self._problem(room), chosen, limit))

    def singles(self, progress: Progress | None = None) -> tuple[Ints, Ints]:
        """Returns v({j}) in units and the bottleneck layer of every player, each checked against its cut.

        Raises:
            SolverError: a flow differs from its cut.
        """
        units = np.zeros(self.players, dtype=np.int64)
        bottleneck = np.zeros(self.players, dtype=np.int64)

        def work(room: kernels.Room, chosen: Ints) -> None:
            by_layer = np.zeros(len(self.network.layers) + 2, dtype=np.int64)
            wrong = kernels.singles(*self._problem(room), chosen, by_layer, units, bottleneck)
            if wrong >= 0:
                raise SolverError(
                    f"The flow from player {wrong} alone differs from its minimum cut: a defect in attnflow; please "
                    "report it with the network."
                )

        self._share(work, np.arange(self.players), "single players", progress)
        return units, bottleneck

    def without(self, grand: int, progress: Progress | None = None) -> Ints:
        """Returns v(N minus j) in units for every player.

        A player who sends nothing in one maximum flow is not needed for it: only the others are solved.
        """
        share = np.zeros(self.players, dtype=np.int64)
        with self._room() as room:
            kernels.shares(*self._problem(room), share)
        units = np.full(self.players, grand, dtype=np.int64)

        def work(room: kernels.Room, chosen: Ints) -> None:
            kernels.without(*self._problem(room), chosen, grand, units)

        self._share(work, np.flatnonzero(share), "all but one", progress)
        return units

    def subsets(self, grand: int, progress: Progress | None = None) -> Ints:
        """Returns v(S) in units for all 2^players coalitions; bit j of the index says that j is in S."""
        units = np.zeros(1 << self.players, dtype=np.int64)

        def work(room: kernels.Room, chosen: Ints) -> None:
            kernels.subsets(*self._problem(room), chosen[0], chosen[-1] + 1, grand, units)

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

        def work(room: kernels.Room, chosen: Ints) -> None:
            part = slice(int(chosen[0]), int(chosen[-1]) + 1)
            kernels.orders(*self._problem(room), order[part], grand, marginal[part])

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
        with self._room() as room:
            kernels.reset(self.graph.arrays, room, self._demand)
            for player, units in supply.items():
                room.supply[self._nodes_of(player)] = units
            nodes = np.flatnonzero(room.supply)
            value = int(kernels.augment(self.graph.arrays, self._capacity, room, nodes, limit))
            kernels.reach(self.graph.arrays, self._capacity, room, nodes)
            return value, room.flow.copy(), room.level > 0

    def outgoing(self) -> Ints:
        """Returns, in units, the capacity that leaves each player's nodes; INFINITE if any of it is."""
        leaving = kernels.outgoing(self.graph.arrays, self._capacity)
        return np.array(
            [
                min(INFINITE, sum(int(leaving[node]) for node in self._nodes_of(j)))
                for j in range(self.players)
            ],
            dtype=np.int64,
        )

    # -- inside ----------------------------------------------------------------------------------------

    def _problem(self, room: kernels.Room) -> tuple[Any, ...]:
        return (self.graph.arrays, self._capacity, room, self._demand, self._member_start, self._members)

    def _nodes_of(self, player: int) -> Ints:
        return self._members[self._member_start[player] : self._member_start[player + 1]]

    def _demands(self, weights: Sequence[float] | None) -> Ints:
        demand = np.zeros(self.graph.arrays.group.size, dtype=np.int64)
        nodes = [self.graph.node(self.network.final, position) for position in self.positions]
        if weights is None:
            demand[nodes] = INFINITE
            return demand
        share = np.asarray(weights, dtype=np.float64)
        if share.shape != (len(nodes),):
            raise NetworkError(
                f"Found {share.size} weights for {len(nodes)} target positions; expected one for each."
            )
        if not np.isfinite(share).all() or share.min() < 0 or abs(share.sum() - 1) > 1e-6:
            raise NetworkError(
                f"Target weights must be finite, from 0 up, and sum to 1; found a sum of {share.sum():.6g}."
            )
        # no total reaches LARGEST, so that a larger demand is no limit either
        most = np.ldexp(float(LARGEST), -self.graph.exponent)
        demand[nodes], _ = to_units(np.minimum(share, most), self.graph.exponent)
        return demand

    def _refuse_unbounded(self, groups: Sequence[Sequence[int]]) -> None:
        """Refuses a target node that some player reaches over infinite edges alone."""
        if not (self._capacity == INFINITE).any():
            return
        for number, group in enumerate(groups):
            seen = kernels.endless(self.graph.arrays, self._capacity, self._nodes_of(number))
            for position in self.positions:
                node = self.graph.node(self.network.final, position)
                if seen[node] and self._demand[node] >= INFINITE:
                    labels = " ".join(self.network.players[index].label for index in group)
                    raise NetworkError(
                        f"Target position {position} is reached from player {labels!r} over infinite edges alone, so "
                        "its flow is unbounded: give that path a finite capacity."
                    )

    @contextmanager
    def _room(self) -> Iterator[kernels.Room]:
        try:
            room = self._rooms.get_nowait()
        except Empty:
            room = kernels.make_room(self.graph.arrays, self.graph.capacity.size)
        try:
            yield room
        finally:
            self._rooms.put(room)

    def _share(
        self,
        work: Callable[[kernels.Room, Ints], None],
        items: NDArray[Any],
        stage: str,
        progress: Progress | None,
    ) -> None:
        """Splits items over threads, in chunks small enough to report on."""
        chunks = np.array_split(items, min(len(items), max(4 * self.threads, 16))) if len(items) else []

        def run(chunk: Ints) -> int:
            with self._room() as room:
                work(room, chunk.astype(np.int64))
            return len(chunk)

        done = 0
        if self.threads == 1 or len(chunks) < 2:
            for chunk in chunks:
                done += run(chunk)
                if progress is not None:
                    progress(stage, done, len(items))
            return
        with ThreadPoolExecutor(self.threads) as pool:
            pending = {pool.submit(run, chunk) for chunk in chunks}
            try:
                while pending:
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in finished:
                        done += future.result()
                    if progress is not None:
                        progress(stage, done, len(items))
            except BaseException:
                for future in pending:
                    future.cancel()
                raise


def _node(network: FlowNetwork, graph: Graph, index: int) -> int:
    if (
        isinstance(index, bool)
        or not isinstance(index, (int, np.integer))
        or not 0 <= index < len(network.players)
    ):
        raise NetworkError(f"Player {index!r}: expected an index from 0 to {len(network.players) - 1}.")
    ((stack, position),) = network.players[index].nodes
    return graph.node(network.input_group(stack), position)
