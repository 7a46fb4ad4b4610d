"""One target's game: v(S) for coalitions of players, exactly, on as many threads as wanted.

The compiled loops release the interpreter lock, and every thread has scratch arrays of its own; answers
are integers, so that neither the number of threads nor the order of work can change them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError, SolverError
from attnflow.maxflow import desk, games, net, residual
from attnflow.maxflow.board import Board
from attnflow.maxflow.desk import Desk
from attnflow.maxflow.graph import INFINITE, LARGEST, Graph, to_units
from attnflow.maxflow.threads import run_all, thread_count

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int | None], None]

#: Tells games apart on scratch that they share.
_NUMBERS = count(1)

#: One round of one step.
ONE = np.array([0, 1], dtype=np.int64)


class Solver:
    """Solves the game of one target on one network.

    Attributes:
        graph: the network in integer units.
        positions: positions of the target in the last group.
        players: number of players.
        board: what games of the same players share.
        demands: `[positions]`, what each can take in units, or INFINITE.
    """

    def __init__(
        self,
        network: FlowNetwork,
        target: int | Sequence[int],
        *,
        weights: Sequence[float] | None = None,
        groups: Sequence[Sequence[int]] | None = None,
        threads: int | None = 1,
        board: Board | None = None,
    ) -> None:
        """Prepares the game.

        Args:
            network: the flow network.
            target: a position of the last group, or a set of them.
            weights: one per position of a set, summing to 1; None for infinite edges to the supersink.
            groups: players as disjoint sequences of indices into `network.players`; None: each alone.
            threads: number of threads; None for all cores.
            board: players, and scratch that other targets' games on this network share with this one, instead of
                `groups`; None: of its own.

        Raises:
            NetworkError: target, weights or groups that do not fit the network, or a target that a
                player reaches over infinite edges alone.
        """
        self.network = network
        self.graph: Graph = network._graph
        self.positions = network.positions(target)
        self.threads = thread_count(threads)
        self.targets = np.array(
            [self.graph.node(network.final, position) for position in self.positions], dtype=np.int64
        )
        self.demands = self._demands(weights)
        if board is not None and (groups is not None or board.network is not network):
            raise NetworkError(
                "A board has players on a network of its own: give that network, and no groups."
            )
        self.board = Board(network, groups) if board is None else board
        self.players = self.board.players
        self._net = self.graph.net_for(self.positions)
        self._refuse_unbounded()
        self._number = next(_NUMBERS)
        self._useful = net.towards(self._net, self.targets, False)
        #: single players share a base flow, and where streams are open their ends are source and sink
        self._stack = self.board.layered and self._fits_open_streams()

    # -- values ----------------------------------------------------------------------------------------

    def grand(self) -> int:
        """Returns v(N) in units."""
        return self._value(np.arange(self.players))

    def value(self, coalition: Sequence[int], limit: int = INFINITE) -> int:
        """Returns v(S) in units, or `limit` if it is at least that."""
        return self._value(np.unique(np.asarray(coalition, dtype=np.int64)), limit)

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
        self._share(work, np.arange(self.players), "single players", progress, not self.board.in_runs)
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

        self._share(work, np.arange(self.players), "single players", progress, not self.board.in_runs)
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
            seen[:] = ~net.as_mask(self._net, desk.row(room, desk.UNSEEN) & self._useful)

        everyone = np.array([0, chosen.size])
        self._play(ONE, everyone, chosen, gains, supplies=supplies, read=read)
        return int(gains[0]), flow, seen

    def outgoing(self) -> Ints:
        """Returns, in units, the capacity that leaves each player's nodes; INFINITE if any of it is."""
        return self.board.outgoing(self._net)

    # -- inside ----------------------------------------------------------------------------------------

    def _value(self, chosen: Ints, limit: int = INFINITE) -> int:
        gains = np.zeros(1, dtype=np.int64)
        self._play(ONE, np.array([0, chosen.size]), chosen, gains, limit=limit)
        return int(gains[0])

    def _needed(self, grand: int, joining: Sequence[Ints]) -> Ints:
        """Players that send something in one maximum flow, when players join in these steps."""
        chosen = np.concatenate(joining)
        steps = np.concatenate([[0], np.cumsum([part.size for part in joining])])
        found = np.zeros(self.board.members.size, dtype=np.int64)
        gains = np.zeros(len(joining), dtype=np.int64)

        def read(room: Desk) -> None:
            residual.sending(self._net.place, room.place, self.board.members, found)

        self._play(np.array([0, len(joining)]), steps, chosen, gains, limit=grand, read=read)
        return np.unique(np.repeat(np.arange(self.players), np.diff(self.board.member_start))[found != 0])

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
        themselves = self.board.entered or supplies is not None or read is not None
        room = self._take(False)
        first, last = 0, rounds.size - 1
        while first < last:
            # the first layer's streams are not all open: they are passed over only where players' edges are not walked
            room.meta[desk.OPEN] = self._stack and self.network.own is not None and not themselves
            first = games.play(
                self._net.place,
                room.place,
                self.board.member_start,
                self.board.members,
                np.full(self.players, INFINITE) if supplies is None else supplies,
                themselves,
                rounds,
                steps,
                np.ascontiguousarray(chosen),
                first,
                limit,
                gains,
            )
            if first < last:
                _check_answer(first)
                room = self._larger(room, False)
        if read is not None:
            read(room)
        self.board.give(room)

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
                room = self._larger(room, True)
                continue
            first = games.play_single(
                self._net.place,
                room.place,
                self.targets,
                self.demands,
                self.board.floors,
                self.board.member_start,
                self.board.members,
                chosen,
                first,
                limit,
                units,
                np.zeros(0 if cuts is None else len(self.network.layers) + 2, dtype=np.int64),
                np.zeros(0, dtype=np.int64) if cuts is None else cuts,
            )
            if first < chosen.size:
                _check_answer(first)
                room = self._larger(room, True)
        self.board.give(room)

    def _take(self, alone: bool) -> Desk:
        """Scratch that no other thread uses, for single players or for coalitions."""
        return self._set_up(self.board.take(), alone)

    def _larger(self, room: Desk, alone: bool) -> Desk:
        return self._set_up(self.board.larger(room), alone)

    def _set_up(self, room: Desk, alone: bool) -> Desk:
        """Scratch for this game; for coalitions the targets are owed already what they can take, else see `_laid`."""
        game = 2 * self._number + alone
        if room.meta[desk.GAME] == game:
            return room
        useful, sink, deepest, wide = self._useful, -1, len(self.network.groups) - 1, False
        if self._stack and alone and self.network.own is not None:
            (sink,), deepest = self.positions, len(self.network.edges) - 1
            useful = useful.reshape(len(self.network.groups), -1).copy()
            useful[1:, sink >> 6] &= ~(np.int64(1) << np.int64(sink & 63))
        elif self._stack and alone:
            deepest, wide = self.board.begin or len(self.network.edges), self.board.large
        desk.set_up(room, useful.ravel(), game=game, sink=sink, deepest=deepest, wide=wide)
        if not alone:
            games.owe(self._net.place, room.place, 0, 0, 0, 0, self.targets, self.demands)
        return room

    def _laid(self, room: Desk, grand: int, player: int) -> bool:
        """True if a base flow is laid for players like this one, if there is any; False if scratch is too small."""
        begin, (low, high) = self.board.begin, (ends[player] for ends in self.board.ends)
        if room.meta[desk.LOW_END] == low and room.meta[desk.HIGH_END] == high:
            return True
        found = games.owe(self._net.place, room.place, begin, low, high, grand, self.targets, self.demands)
        _check_answer(found)
        return bool(found != desk.FULL)

    def _fits_open_streams(self) -> bool:
        """True if streams are not open, or all are, and the target is one node."""
        if self.network.own is None:
            return True
        if len(self.positions) > 1 or self.demands[0] < INFINITE:
            return False
        streams = self._net.along[self.network.size :].copy()
        streams[self.positions[0]] = INFINITE
        return bool((streams == INFINITE).all())

    def _flow_in(self, room: Desk) -> Ints:
        """Flow on every edge."""
        flow = np.zeros(self.graph.size, dtype=np.int64)
        residual.flows(self._net.place, room.place, flow)
        nodes = np.flatnonzero(self.graph.streams >= 0)
        flow[self.graph.streams[nodes]] = room.chains[nodes]
        return flow

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

    def _refuse_unbounded(self) -> None:
        """Refuses a target node that some player reaches over infinite edges alone."""
        if not self.graph.infinite and not (self._net.along == INFINITE).any():
            return
        seen = net.towards(self._net, self.targets[self.demands >= INFINITE], True)
        unbounded = net.holds(self._net, seen, self.board.members)
        if unbounded.any():
            number = np.searchsorted(self.board.member_start, np.flatnonzero(unbounded)[0], side="right") - 1
            labels = " ".join(self.network.players[index].label for index in self.board.groups[number])
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
        whole: bool = False,
    ) -> None:
        """Splits items over threads, in chunks small enough to report on; or not, if they may stay whole and can."""
        if whole and self.threads == 1 and progress is None:
            work(items)
            return
        chunks = np.array_split(items, min(len(items), max(4 * self.threads, 16))) if len(items) else []

        done = 0

        def run(chunk: Ints) -> int:
            work(chunk.astype(np.int64))
            return len(chunk)

        def finished(some: int) -> None:
            nonlocal done
            done += some
            if progress is not None:
                progress(stage, done, len(items))

        run_all(run, chunks, self.threads, finished)


def _check_answer(found: int) -> None:
    """Refuses what a loop answers when capacities are not what they were."""
    if found == desk.BROKEN:
        raise SolverError(
            "Capacities were changed after the network had been solved once: make a new network of the new ones."
        )
