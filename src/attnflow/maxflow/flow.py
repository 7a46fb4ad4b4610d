"""A maximum flow with its certificate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import NetworkError, SolverError
from attnflow.maxflow.graph import INFINITE, Graph
from attnflow.maxflow.solver import Solver

if TYPE_CHECKING:
    from attnflow.network import Block, FlowNetwork, Link

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaxFlow:
    """A maximum flow from players to a target, certified by a minimum cut.

    Attributes:
        network: the network it runs through.
        positions: the target's positions in the last group.
        players: indices of the players that may send.
        units: the value in integer units of `2 ** -exponent`.
        exponent: see `units`.
        edge_units: int64, per block and link of `network.edges` the flow in units; blocks
            `[queries, keys]`, links `[edges]`.
        side: per group a mask of the nodes on the players' side of the minimum cut.
        supply: what single players were allowed to send, in units; players not named: any amount.
        demand: what each target position can take, in units, or INFINITE.
    """

    network: FlowNetwork = field(repr=False)
    positions: tuple[int, ...]
    players: tuple[int, ...]
    units: int
    exponent: int
    edge_units: tuple[Ints, ...] = field(repr=False)
    side: tuple[NDArray[np.bool_], ...] = field(repr=False)
    supply: Mapping[int, int] = field(default_factory=dict, repr=False)
    demand: tuple[int, ...] = field(default=(), repr=False)

    @property
    def value(self) -> float:
        """The flow's value, in the capacities' unit."""
        return math.ldexp(self.units, -self.exponent)

    @property
    def flows(self) -> tuple[NDArray[np.float64], ...]:
        """Per block and link of `network.edges` the flow: blocks `[queries, keys]`, links `[edges]`."""
        return tuple(np.ldexp(part.astype(np.float64), -self.exponent) for part in self.edge_units)

    @cached_property
    def outflow(self) -> NDArray[np.float64]:
        """Float64 `[network.players]`: what leaves each player's node beyond what enters it."""
        net = _excess(self.network, self.edge_units)
        sent = np.zeros(len(self.network.players))
        for index, player in enumerate(self.network.players):
            ((stack, position),) = player.nodes
            sent[index] = -math.ldexp(int(net[self.network.input_group(stack)][position]), -self.exponent)
        return sent

    @property
    def cut(self) -> tuple[NDArray[np.bool_], ...]:
        """Per block and link of `network.edges` a mask of the edges that cross the minimum cut."""
        return tuple(
            self.side[edges.source][edges.tails] & ~self.side[edges.target][edges.heads]
            for edges in self.network.edges
        )

    @property
    def error_bound(self) -> float:
        """Bound on the distance of `value` from the maximum flow of the unrounded capacities.

        The cut's true capacity bounds the true value from above. From below: wherever rounding let the
        flow exceed the true capacity, taking that excess away costs at most the excess.
        """
        above = below = 0.0
        for edges, units, crossing in zip(self.network.edges, self._capacity, self.cut):
            finite = units < INFINITE
            true = np.ldexp(np.where(finite, self._true(edges), 0.0), self.exponent)
            above += float((true - units)[finite & crossing].sum())
        for edges, units, flow in zip(self.network.edges, self._capacity, self.edge_units):
            finite = units < INFINITE
            true = np.ldexp(np.where(finite, self._true(edges), 0.0), self.exponent)
            below += float(np.maximum(flow - true, 0.0)[finite].sum())
        weights = 1.0 * sum(limit < INFINITE for limit in self.demand)
        return math.ldexp(max(above, 0.0, below) + weights, -self.exponent)

    @cached_property
    def _capacity(self) -> tuple[Ints, ...]:
        graph: Graph = self.network._graph
        return graph.split(self.network, graph.units_for(self.positions))

    def _true(self, edges: Block | Link) -> NDArray[np.float64]:
        """Unrounded capacities, with the target's own column as the open residual defines it."""
        capacity = np.asarray(edges.capacity, dtype=np.float64)
        own = self.network.own
        if own is None or edges.source != self.network.input_group(self.network.groups[-1].stack):
            return capacity
        capacity = capacity.copy()
        for position in self.positions:
            capacity[position, position] = own[position]
        return capacity

    def verify(self) -> bool:
        """Checks everything that makes this a maximum flow, in integers, without the solver.

        Capacities hold on every edge; what enters a node leaves it, except at players and target; the
        target receives the value; no edge with room leaves the players' side of the cut, and the cut's
        capacity is the value, so that no larger flow exists.

        Returns:
            True.

        Raises:
            SolverError: any of these fails; the message says which.
        """
        if self.exponent != self.network._graph.exponent:
            raise SolverError(
                f"The flow counts units of 2^-{self.exponent}, its network units of 2^-{self.network._graph.exponent}."
            )
        names = [f"{g.stack} {g.layer}" for g in self.network.groups]
        for edges, flow, capacity in zip(self.network.edges, self.edge_units, self._capacity):
            where = f"between {names[edges.source]} and {names[edges.target]}"
            if (flow < 0).any() or (flow > capacity).any():
                raise SolverError(f"Flow exceeds a capacity {where}.")
        net = _excess(self.network, self.edge_units)
        limits = {
            (self.network.input_group(stack), position): self.supply.get(index, INFINITE)
            for index in self.players
            for stack, position in self.network.players[index].nodes
        }
        final = self.network.final
        received = 0
        cut = 0
        for g, excess in enumerate(net):
            for position in np.flatnonzero(excess).tolist():
                surplus = int(excess[position])
                if g == final and position in self.positions:
                    limit = self.demand[self.positions.index(position)] if self.demand else INFINITE
                    if not 0 <= surplus <= limit:
                        raise SolverError(
                            f"Target position {position} receives {surplus} units of at most {limit}."
                        )
                    received += surplus
                elif not 0 <= -surplus <= limits.get((g, position), 0):
                    raise SolverError(f"Flow is not conserved at {names[g]}, position {position}.")
        if received != self.units:
            raise SolverError(f"The target receives {received} units, not the stated {self.units}.")
        for crossing, capacity in zip(self.cut, self._capacity):
            cut += sum(int(units) for units in capacity[crossing])
        for (g, position), limit in limits.items():
            if not self.side[g][position]:
                cut += limit
        for position, limit in zip(self.positions, self.demand or (INFINITE,) * len(self.positions)):
            if self.side[final][position]:
                cut += limit
        if cut != self.units:
            raise SolverError(f"The minimum cut has capacity {cut} units, the flow {self.units}.")
        return True


def max_flow(
    network: FlowNetwork,
    players: Sequence[int] | None = None,
    *,
    target: int | Sequence[int],
    weights: Sequence[float] | None = None,
    supply: Mapping[int, int] | None = None,
) -> MaxFlow:
    """Finds a maximum flow. See `FlowNetwork.max_flow`.

    Args:
        network: the flow network.
        players: indices into `network.players`; None: all.
        target: a position of the last group, or a set of them.
        weights: one per position of a set.
        supply: per player the units it may send; players not named may send any amount.
    """
    chosen = tuple(range(len(network.players))) if players is None else tuple(players)
    if len(set(chosen)) != len(chosen):
        raise NetworkError(f"players={list(chosen)} names a player twice.")
    limits = dict(supply or {})
    solver = Solver(network, target, weights=weights, groups=[(index,) for index in chosen])
    value, flow, side = solver.flow(
        {number: limits.get(index, INFINITE) for number, index in enumerate(chosen)}
    )
    graph = solver.graph
    start = graph.start
    return MaxFlow(
        network=network,
        positions=solver.positions,
        players=chosen,
        units=value,
        exponent=graph.exponent,
        edge_units=graph.split(network, flow),
        side=tuple(side[start[g] : start[g + 1]] for g in range(len(network.groups))),
        supply=limits,
        demand=tuple(int(limit) for limit in solver.demands),
    )


def _excess(network: FlowNetwork, edge_units: Sequence[Ints]) -> list[Ints]:
    """Per group what enters each node less what leaves it, in units."""
    net = [np.zeros(group.size, dtype=np.int64) for group in network.groups]
    for edges, flow in zip(network.edges, edge_units):
        np.subtract.at(net[edges.source], np.broadcast_to(edges.tails, flow.shape), flow)
        np.add.at(net[edges.target], np.broadcast_to(edges.heads, flow.shape), flow)
    return net
