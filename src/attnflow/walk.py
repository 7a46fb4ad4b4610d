"""From traces to one result: network, players, targets, method.

Attention capacities are the same for every target, so one network serves all of them. Gradient capacities
belong to one output: each target has a trace, a network and a row of its own; for signed results it has two
networks, one of what speaks for the output and one of what speaks against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from attnflow import contrast, methods
from attnflow.attribution import Attribution
from attnflow.capacity import Scheme, find
from attnflow.errors import OptionError
from attnflow.maxflow.compilation import compile_kernels
from attnflow.network import FlowNetwork
from attnflow.players import excluded, player_groups
from attnflow.trace import Trace

Progress = Callable[[str, int, int | None], None]

#: Added to the seed for what speaks against an output.
_OPPOSING = 1 << 32


def solve(
    traces: Sequence[Trace],
    method: str,
    scheme: str | Scheme,
    *,
    signed: bool = False,
    target: Any = None,
    residual: Any = None,
    prefix: Any = "players",
    layers: Any = None,
    **options: Any,
) -> Attribution:
    """Explains by one method and one capacity scheme.

    Args:
        traces: one, or one per target from `capture_targets`.
        method: name of the method.
        scheme: the capacity scheme, or its name.
        signed: score what speaks for the output minus what speaks against it.
        target: as in `explain`; traces of gradients name their targets themselves.
        residual: as in `FlowNetwork.from_trace`.
        prefix: as in `FlowNetwork.from_trace`.
        layers: as in `FlowNetwork.from_trace`.
        options: players, exclude, and whatever `attribute` takes.

    Raises:
        OptionError: options that contradict each other.
    """
    if not find(scheme).gradient:
        network = FlowNetwork.from_trace(_joined(traces), scheme, residual, prefix, layers)
        return _attributed(network, method, target, **options)
    rows = []
    for trace in traces:
        parts = [
            _attributed(
                FlowNetwork.from_trace(trace, scheme, residual, prefix, layers, opposing=opposing),
                method,
                None,
                # orders of their own, so that the two standard errors are independent
                **{**options, "seed": options["seed"] + (_OPPOSING if opposing else 0)},
            )
            for opposing in ([False, True] if signed else [False])
        ]
        rows.append(contrast.signed(*parts) if signed else parts[0])
    result = Attribution.concat(rows)
    captured = traces[0].provenance.get("options", {})
    asked = {name: captured[name] for name in ("output", "steps", "baseline") if name in captured}
    own = {**result.provenance.get("options", {}), "signed": signed, **asked}
    return replace(result, provenance={**result.provenance, "options": own})


def _joined(traces: Sequence[Trace]) -> Trace:
    """One trace with the decisions of all; what differs between them is not read."""
    if len(traces) == 1 and not traces[0].input_relevance:
        return traces[0]
    provenance = {name: value for name, value in traces[0].provenance.items() if name != "outputs"}
    return replace(
        traces[0],
        decisions=tuple(decision for trace in traces for decision in trace.decisions),
        provenance=provenance,
    )


def _attributed(
    network: FlowNetwork,
    method: str,
    target: Any,
    *,
    players: Any,
    exclude: Any,
    samples: int | None,
    stderr: float | None,
    progress: Progress | None,
    **options: Any,
) -> Attribution:
    targets, weights = _targets(network, target)
    grouping = None if players == "tokens" else player_groups(network.players, network.text, players)
    if methods.find(method).samples:
        options |= {"samples": samples, "stderr": stderr}
    elif samples is not None or stderr is not None:
        raise OptionError(f"method={method!r} samples nothing: leave out samples= and stderr=.")
    compile_kernels(progress, barrier=methods.find(method).barrier)
    result = methods.attribute(
        network,
        method=method,
        targets=targets,
        weights=weights,
        players=None if grouping is None else grouping.groups,
        labels=None if grouping is None else grouping.labels,
        exclude=excluded(network.players, exclude, grouping),
        progress=progress,
        **options,
    )
    if target is not None or not network.decisions:
        return result
    # Two decisions may stand at one position (the start and the end of an answer): each keeps its own name.
    named = zip(result.targets, network.decisions)
    targets_named = (replace(row, label=d.label, probability=d.probability) for row, d in named)
    return replace(result, targets=tuple(targets_named))


def _targets(network: FlowNetwork, target: Any) -> tuple[list[Any], list[Any] | None]:
    if isinstance(target, str):
        if target not in ("all", "mean"):
            raise OptionError(
                f"target={target!r}: expected a position, a sequence of positions, 'all', 'mean', or None."
            )
        if target == "all":
            return list(range(network.size)), None
        share = (1 / network.size,) * network.size
        return [tuple(range(network.size))], [share if network.row_stochastic else None]
    if target is not None:
        return [network.positions(target)], None
    if network.decisions:
        decisions = network.decisions
        # Weights are one more row of attention; in other units positions are joined by infinite edges.
        weights = [d.weights if network.row_stochastic else None for d in decisions]
        return [d.positions for d in decisions], weights
    return [network.size - 1 if network.architecture != "encoder" else 0], None
