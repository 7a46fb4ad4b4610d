"""Attribution methods: one file each, found by name.

`attribute` sets up each target's game, asks the method for scores, and adds what every result carries:
v(N), the interval each player's share can take, and where its flow is stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Target
from attnflow.capacity import SCHEMES
from attnflow.errors import OptionError, unknown_name
from attnflow.maxflow import MaxFlow, Solver
from attnflow.maxflow.board import Board
from attnflow.maxflow.solver import Progress
from attnflow.maxflow.threads import run_all, thread_count
from attnflow.merging import merge
from attnflow.methods import attention, central, flow, rollout, shapley
from attnflow.methods.problem import Method, Outcome, Problem

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

__all__ = ["METHODS", "Method", "Outcome", "Problem", "attribute", "register"]

METHODS: dict[str, Method] = {}

#: From this part of saturated players on, flow says little of its target: docs/studies/saturation.md.
SATURATED = 0.5
#: From this part of the scores' standard deviation on, a standard error is noted.
NOISE = 1 / 3


def register(method: Method) -> Method:
    """Adds a method under its name, so that `method=name` finds it everywhere.

    Raises:
        OptionError: the name is taken.
    """
    if method.name in METHODS:
        raise OptionError(f"A method called {method.name!r} is registered already.")
    METHODS[method.name] = method
    return method


for _method in (flow.METHOD, shapley.METHOD, central.METHOD, rollout.METHOD, attention.METHOD):
    register(_method)


def find(name: str) -> Method:
    """Returns the method registered as `name`.

    Raises:
        OptionError: there is none; the message suggests the nearest.
    """
    if name not in list(METHODS):
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


@dataclass(frozen=True)
class _Row:
    outcome: Outcome
    total: float
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    bottleneck: NDArray[np.int64] | None
    excluded_cost: float
    saturated: float


def attribute(
    network: FlowNetwork,
    *,
    method: str,
    targets: Sequence[int | Sequence[int]],
    players: Sequence[Sequence[int]] | None = None,
    exclude: Sequence[int] = (),
    weights: Sequence[Sequence[float] | None] | None = None,
    bounds: bool = True,
    samples: int | None = None,
    stderr: float | None = None,
    mu: float | None = None,
    decay: bool = False,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    labels: Sequence[str] | None = None,
) -> Attribution:
    """Scores every player of a flow network for each target.

    Args:
        network: the flow network.
        method: "flow", "shapley", "central", "rollout" or "attention".
        targets: each a position of the last group (negative from the end) or a set of positions.
        players: disjoint lists of indices into `network.players`, each list one player; None: every
            position its own player.
        exclude: indices into `network.players` to take out of the game: their edges stay, they supply
            nothing. The result says what v(N) that cost.
        weights: per target None or one weight per position, summing to 1.
        bounds: also compute the interval [lower, upper] of every player and its bottleneck.
        samples: number of orders for "shapley"; forces sampling.
        stderr: stop sampling once the largest player's standard error is at most this fraction of v(N);
            forces sampling. Default: exact up to 12 players, else 0.01.
        mu: for "central" a finite barrier's weight, in the capacities' unit; its scores sum to its own
            flow, below v(N). Default: the limit mu -> 0, a maximum flow.
        decay: multiply what decoder tokens score by 1 / (p - x + 2), p the target's position and x the
            token's, against the early tokens' advantage of having more paths. Found in public code that
            credits Metzger et al.; we could not check it against the paper.
        seed: of the sampled orders.
        threads: solver threads; None: all cores. Scores do not depend on it.
        progress: called as `progress(stage, done, total)`.
        labels: names of the players, if `players` is given.

    Returns:
        Scores, float64 `[targets, players]`, with v(N) and bounds.

    Raises:
        OptionError: an unknown method, or options that contradict each other.
        NetworkError: a target or player that the network does not have.
    """
    chosen = find(method)
    if not chosen.samples and (samples is not None or stderr is not None):
        raise OptionError(f"method={method!r} samples nothing: leave out samples= and stderr=.")
    if samples is not None and stderr is not None:
        raise OptionError("Give samples= or stderr=, not both.")
    lists: dict[str, Any] = {
        "targets": targets,
        "exclude": exclude,
        "players": () if players is None else players,
    }
    for name, value in lists.items():
        if isinstance(value, str) or not np.iterable(value):
            raise OptionError(f"{name}={value!r}: expected a list.")
    if any(isinstance(group, str) or not np.iterable(group) for group in lists["players"]):
        raise OptionError(f"players={players!r}: expected a list of lists, one for each player.")
    if mu is not None and not chosen.barrier:
        raise OptionError(f"method={method!r} has no barrier: leave out mu=, or use method='central'.")
    if decay and network.architecture == "encoder":
        raise OptionError(
            "decay=True weighs decoder tokens by distance, and an encoder-only network has none: leave it out."
        )
    groups, out = _groups(network, players, exclude)
    if not groups:
        raise OptionError("Every player is excluded: leave at least one in the game.")
    rows_weights = _weights(targets, weights)
    chosen_targets = [_target(network, target, share) for target, share in zip(targets, rows_weights)]
    if not chosen_targets:
        raise OptionError("No targets: name at least one position of the last group.")

    board = Board(network, groups)
    everyone = Board(network, [*groups, *((index,) for index in out)]) if out else None

    def row(target: Target, threads: int, progress: Progress | None) -> _Row:
        solver = Solver(network, target.positions, weights=target.weights, threads=threads, board=board)
        problem = Problem(network, solver, groups, target, samples, stderr, mu, seed, progress, bounds)
        return _row(chosen, problem, everyone, bounds, threads)

    rows = _rows(row, chosen_targets, thread_count(threads), progress)
    scale = np.ones((len(rows), len(groups)))
    if decay:
        scale = np.array([_decay(network, groups, target) for target in chosen_targets])

    def stack(name: str) -> Any:
        parts = [getattr(row, name) for row in rows]
        return None if parts[0] is None else np.array(parts) * (1 if name == "bottleneck" else scale)

    errors = [row.outcome.stderr for row in rows]
    known = [error for error in errors if error is not None]
    gaps = [row.outcome.gap for row in rows]
    members = [
        merge([network.players[index] for index in group], network.text, label)
        for group, label in _labelled(groups, labels, players, out)
    ]
    return Attribution(
        method=method,
        scores=np.array([row.outcome.scores for row in rows]) * scale,
        total=np.array([row.total for row in rows]),
        players=tuple(members),
        targets=tuple(chosen_targets),
        lower=stack("lower"),
        upper=stack("upper"),
        bottleneck=stack("bottleneck"),
        stderr=np.array([np.zeros(len(groups)) if e is None else e for e in errors]) * scale
        if known
        else None,
        estimated=any(row.outcome.estimated for row in rows),
        samples=max((row.outcome.samples for row in rows if row.outcome.samples is not None), default=None),
        error_bound=network._graph.error_bound + _weight_rounding(network, chosen_targets),
        gap=None if None in gaps else np.array(gaps),
        capacity=network.capacity,
        residual=network.residual,
        unit=network.unit,
        layers=network.layers,
        excluded=tuple(network.players[index] for index in out),
        excluded_cost=np.array([row.excluded_cost for row in rows]) if out else None,
        notes=(*network.notes, *_notes(network, rows, method, decay, mu)),
        text=network.text,
        media=network.media,
        provenance={
            **network.provenance,
            "attnflow": _version(),
            "network": network.digest,
            "options": {
                "method": method,
                "capacity": network.capacity,
                "residual": network.residual,
                "prefix": network.prefix,
                "bounds": bounds,
                "samples": samples,
                "stderr": stderr,
                "mu": mu,
                "decay": decay,
                "seed": seed,
            },
        },
        network=network,
    )


def _rows(
    row: Callable[[Target, int, Progress | None], _Row],
    targets: Sequence[Target],
    threads: int,
    progress: Progress | None,
) -> list[_Row]:
    """One row per target: on several threads at once where there are enough targets, else each on all threads.

    Args:
        row: from target, threads and progress to its row.
        targets: in the order of the rows.
        threads: how many.
        progress: told of each target where they run at once, else of the work on each.
    """
    if threads == 1 or len(targets) < 2 * threads:
        return [row(target, threads, progress) for target in targets]
    rows = [row(targets[0], threads, progress)]  # what targets share is made here, and loops are compiled
    done = 1

    def finished(_: _Row) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("targets", done, len(targets))

    return rows + run_all(lambda target: row(target, 1, None), targets[1:], threads, finished)


def _row(method: Method, problem: Problem, everyone: Board | None, bounds: bool, threads: int | None) -> _Row:
    solver = problem.solver
    graph = solver.graph
    grand = problem.grand
    lower = upper = bottleneck = None
    saturated = 0.0
    outcome = method.solve(problem)
    if bounds or method.name == "flow":
        single, where = problem.singles
        upper = graph.value(single)
        if method.name == "flow":
            saturated = _saturated(problem, single)
        if bounds:
            bottleneck = where
            lower = graph.value(grand - solver.without(grand, single, problem.progress))
    cost = 0.0
    if everyone is not None:
        target = problem.target
        whole = Solver(
            problem.network, target.positions, weights=target.weights, threads=threads, board=everyone
        )
        cost = float(graph.value(whole.grand() - grand))
    return _Row(outcome, float(graph.value(grand)), lower, upper, bottleneck, cost, saturated)


def _weight_rounding(network: FlowNetwork, targets: Sequence[Target]) -> float:
    """Largest error of a value from rounding target weights: at most a unit for each."""
    return math.ldexp(
        max((len(t.weights) for t in targets if t.weights), default=0), -network._graph.exponent
    )


def _saturated(problem: Problem, single: NDArray[np.int64]) -> float:
    """Part of the players that reach the target whose v({j}) is all that can leave their nodes, or all of v(N)."""
    limit = np.minimum(problem.solver.outgoing(), problem.grand)
    reaching = single > 0
    count = np.count_nonzero(reaching)
    # two are no ranking that could be the same elsewhere
    return np.count_nonzero(reaching & (single >= limit)) / count if count > 2 else 0.0


def _noisy(outcome: Outcome) -> bool:
    """Whether sampling moves the scores by more than a third of their spread."""
    if outcome.stderr is None or len(outcome.scores) < 2:
        return False
    return bool(np.median(outcome.stderr) > NOISE * outcome.scores.std())


def _tells_outputs(network: FlowNetwork) -> bool:
    """Whether capacities tell one output from others, so that a player who sends all that he can ranks by that."""
    scheme = SCHEMES.get(network.capacity or "")
    return scheme is not None and scheme.gradient and (scheme.keeps or network.residual == "open")


def _notes(
    network: FlowNetwork, rows: Sequence[_Row], method: str, decay: bool, mu: float | None
) -> list[str]:
    notes = []
    if method == "flow" and rows and not _tells_outputs(network):
        share = float(np.median([row.saturated for row in rows]))
        if share > SATURATED:
            notes.append(
                "More than half of the players send all that leaves them in the first layer, or all that the target "
                "takes: flow then ranks players much the same for every target. Relevance capacities with an open "
                "residual tell targets apart."
            )
    if any(_noisy(row.outcome) for row in rows):
        notes.append(
            "The standard errors are more than a third of what tells players apart, so that close ones may stand in "
            "any order: more `samples`, or a smaller `stderr`, tell them apart better."
        )
    if mu is not None:
        notes.append(
            f"A finite barrier, mu = {mu:g}: scores sum to the flow it allows, which is less than the total."
        )
    if decay:
        notes.append(
            "Scores and bounds of decoder tokens are decayed by distance: they no longer sum to the total."
        )
    return notes


def _groups(
    network: FlowNetwork, players: Sequence[Sequence[int]] | None, exclude: Sequence[int]
) -> tuple[list[tuple[int, ...]], list[int]]:
    count = len(network.players)

    def check(index: int) -> int:
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not -count <= index < count:
            raise OptionError(
                f"Player {index!r}: expected an index from 0 to {count - 1} into network.players."
            )
        return int(index) % count

    out = sorted({check(index) for index in exclude})
    if players is None:
        groups: list[tuple[int, ...]] = [(index,) for index in range(count)]
    else:
        groups = [tuple(check(index) for index in group) for group in players]
        flat = [index for group in groups for index in group]
        if len(set(flat)) != len(flat):
            twice = next(index for index in flat if flat.count(index) > 1)
            raise OptionError(
                f"Player groups must be disjoint; {network.players[twice].label!r} is in two of them."
            )
        if any(not group for group in groups):
            raise OptionError("An empty player group has nothing to supply: leave it out.")
    if out:
        gone = set(out)
        groups = [tuple(index for index in group if index not in gone) for group in groups]
    return [group for group in groups if group], out


def _labelled(
    groups: Sequence[tuple[int, ...]],
    labels: Sequence[str] | None,
    players: Sequence[Sequence[int]] | None,
    out: Sequence[int],
) -> list[tuple[tuple[int, ...], str | None]]:
    if labels is None:
        return [(group, None) for group in groups]
    if players is None or len(labels) != len(players):
        raise OptionError(
            f"Found {len(labels)} labels for {0 if players is None else len(players)} player groups."
        )
    gone = set(out)
    kept = [label for label, group in zip(labels, players) if not gone.issuperset(group)]
    return list(zip(groups, kept))


def _weights(
    targets: Sequence[Any], weights: Sequence[Sequence[float] | None] | None
) -> list[tuple[float, ...] | None]:
    if weights is None:
        return [None] * len(targets)
    if len(weights) != len(targets) or any(isinstance(share, (int, float)) for share in weights):
        raise OptionError(
            f"weights needs one entry for each of the {len(targets)} targets: None, or a weight per position."
        )
    return [None if share is None else tuple(float(part) for part in share) for share in weights]


def _target(network: FlowNetwork, target: int | Sequence[int], weights: tuple[float, ...] | None) -> Target:
    positions = network.positions(target)
    token = network.tokens[positions[0]] if network.tokens else None
    for decision in network.decisions:
        if decision.positions == positions:
            return Target(positions, decision.label, token, weights, decision.probability)
    label = network.decides[positions[0]] if network.decides and len(positions) == 1 else None
    return Target(positions, label, token, weights)


def _decay(network: FlowNetwork, groups: Sequence[Sequence[int]], target: Target) -> NDArray[np.float64]:
    """Per player 1 / (p - x + 2) for decoder tokens at x <= p, 1 for encoder tokens."""
    p = max(target.positions)
    factors = np.ones(len(groups))
    for column, group in enumerate(groups):
        places = [
            position
            for index in group
            for stack, position in network.players[index].nodes
            if stack == "decoder"
        ]
        if places and max(places) <= p:
            factors[column] = 1 / (p - max(places) + 2)
    return factors


def realize(
    result: Attribution, target: int | Sequence[int] | None = None, player: int | None = None
) -> MaxFlow:
    """Finds a maximum flow that splits over the players as the scores say. See `Attribution.realize`."""
    from attnflow.methods.realization import realize as found

    return found(result, target, player)


def _version() -> str:
    from attnflow import __version__

    return __version__


def units_above(value: float, exponent: int) -> int:
    """The least number of units that is surely no less than a float64 value was before rounding."""
    scaled = math.ldexp(value, exponent)
    return math.ceil(scaled) + math.ceil(math.ulp(scaled)) * 4
