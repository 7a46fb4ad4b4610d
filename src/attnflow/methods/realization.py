"""From scores back to a flow: a maximum flow that splits over the players as the scores say.

Fact (ours): the splits that maximum flows realise are exactly the base polytope of v, and the Shapley
value, exact or averaged over sampled orders, lies in it; the central flow's split is one of them by
definition. So capping what each player may send at its score leaves the maximum flow at v(N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnflow.attribution import Attribution
from attnflow.errors import OptionError, SolverError
from attnflow.maxflow import MaxFlow, Solver, max_flow
from attnflow.methods import find, units_above
from attnflow.network import Block, FlowNetwork, Group

if TYPE_CHECKING:
    from attnflow.network import Link


def realize(
    result: Attribution, target: int | Sequence[int] | None = None, player: int | None = None
) -> MaxFlow:
    """Finds a maximum flow whose split over the players is a row of scores.

    Args:
        result: scores of a method that splits v(N), or of `flow` with a player named.
        target: a target of the result, by position; may be left out if there is only one.
        player: for method "flow": index into `result.players` of the player whose flow is wanted.

    Returns:
        A maximum flow. Where players are groups, the flow's network has one more group in front, with a
        node for each player.

    Raises:
        OptionError: nothing to realise; the message says why.
    """
    if result.supporting is not None:
        raise OptionError(
            "A signed score is the difference of two flows, so no single flow realises it: compute with signed=False."
        )
    networks = result._networks()
    if not networks:
        raise OptionError(
            "This result is the difference of two, which no single flow realises: draw either side."
            if "contrast" in result.provenance
            else "This result was loaded without its network, so no flow can be drawn: save it with network=True."
        )
    options = result.provenance.get("options", {})
    if options.get("decay"):
        raise OptionError(
            "Decayed scores are no split of a maximum flow: compute them with decay=False to realise."
        )
    if options.get("mu") is not None:
        raise OptionError(
            "At a finite barrier scores are no split of a maximum flow: compute them without mu to realise."
        )
    row = _row(result, networks[0], target)
    network = networks[row]
    chosen = result.targets[row]
    owners, single = _with_players(result, network)
    if result.method == "flow":
        if player is None:
            raise OptionError("method='flow' has one flow per player: name it with player=.")
        if not 0 <= player < len(result.players):
            raise OptionError(f"player={player}: expected an index from 0 to {len(result.players) - 1}.")
        return max_flow(owners, [single[player]], target=chosen.positions, weights=chosen.weights)
    if not find(result.method).splits:
        raise OptionError(
            f"method={result.method!r} is not computed as the split of a maximum flow: realise shapley or central."
        )
    if player is not None:
        raise OptionError(f"player= goes with method='flow'; {result.method!r} has one flow for all players.")
    exponent = owners._graph.exponent
    # A central flow is known to within its gap: what a player truly sends may be that much more.
    gap = 0.0 if result.gap is None else float(result.gap[row])
    supply = {
        single[j]: units_above(float(score) + gap, exponent) for j, score in enumerate(result.scores[row])
    }
    flow = max_flow(owners, sorted(supply), target=chosen.positions, weights=chosen.weights, supply=supply)
    # A group of players moves the scale of the integers by at most a power of two: compare values.
    grand = Solver(
        owners, chosen.positions, weights=chosen.weights, groups=[(j,) for j in sorted(supply)]
    ).grand()
    if flow.units != grand:
        raise SolverError(
            f"No maximum flow splits as these scores say: {flow.value} of {result.total[row]} could be sent. "
            "For scores that attnflow computed this is a defect: please report it."
        )
    return flow


def _row(result: Attribution, network: FlowNetwork, target: int | Sequence[int] | None) -> int:
    known = [found.positions for found in result.targets]
    if target is None:
        if len(known) == 1:
            return 0
        raise OptionError(f"The result has {len(known)} targets: name one by its position.")
    positions = network.positions(target)
    if positions not in known:
        raise OptionError(
            f"The result has no target {list(positions)}; it has {', '.join(str(list(p)) for p in known)}."
        )
    rows = [row for row, found in enumerate(known) if found == positions]
    if any((result.scores[row] != result.scores[rows[0]]).any() for row in rows):
        raise OptionError(
            f"The result has {len(rows)} targets at {list(positions)}: take one by its row, result[row]."
        )
    return known.index(positions)


def _with_players(result: Attribution, network: FlowNetwork) -> tuple[FlowNetwork, list[int]]:
    """The network with one input node per player of the result, and each player's index there."""
    index = {player.nodes: number for number, player in enumerate(network.players)}
    if all(player.nodes in index for player in result.players):
        return network, [index[player.nodes] for player in result.players]
    stacks = dict.fromkeys(stack for player in result.players for stack, _ in player.nodes)
    edges: list[Block | Link] = []
    for stack in stacks:
        group = network.input_group(stack)
        capacity = np.zeros((network.groups[group].size, len(result.players)))
        for column, player in enumerate(result.players):
            for found, position in player.nodes:
                if found == stack:
                    capacity[position, column] = np.inf
        edges.append(Block(0, group + 1, capacity, 0))
    edges += [replace(part, source=part.source + 1, target=part.target + 1) for part in network.edges]
    players = tuple(
        replace(player, nodes=(("player", column),)) for column, player in enumerate(result.players)
    )
    extended = replace(
        network,
        groups=(Group("player", 0, len(players)), *network.groups),
        edges=tuple(edges),
        players=players,
    )
    return extended, list(range(len(players)))
