"""The whole walk in one call: model and input to attribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnflow.attribution import Attribution
from attnflow.errors import InputError, OptionError
from attnflow.trace import Trace

Progress = Callable[[str, int, int | None], None]

#: What `explain` computes when nothing else is asked for.
DEFAULT_METHOD = "shapley"
DEFAULT_CAPACITY = "attention"


def explain(
    model: Any,
    text: str | Sequence[str] | None = None,
    *,
    tokenizer: Any = None,
    inputs: Mapping[str, Any] | None = None,
    method: str | Sequence[str] | None = None,
    capacity: str | Sequence[str] | None = None,
    residual: float | str | None = None,
    heads: str | Sequence[int] = "mean",
    target: int | Sequence[int] | str | None = None,
    players: str | Sequence[tuple[int, int]] = "tokens",
    exclude: str | Sequence[int | str] = (),
    generate: int = 0,
    generate_options: Mapping[str, Any] | None = None,
    target_text: str | None = None,
    prefix: str = "players",
    layers: tuple[int, int] | None = None,
    bounds: bool = True,
    samples: int | None = None,
    stderr: float | None = None,
    decay: bool = False,
    seed: int = 0,
    threads: int | None = None,
    allow_partial: bool = False,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
) -> Attribution | list[Any]:
    """Explains a prediction: how much of the target's flow comes from each part of the input.

    The model runs once; its attention spans a flow network; exact maximum flows through it become scores.
    With `attention` capacities scores are unsigned, and the same whatever class is asked about: they say
    where information could have come from, not what it argued for.

    Args:
        model: a transformers model, a local directory, the name of a bundled model, or a hub id.
        text: the input, or a list of inputs (then a list of results comes back).
        tokenizer: for a loaded model; default the one it was loaded with.
        inputs: keyword tensors for the model instead of text.
        method: "shapley" (default), "flow", "rollout" or "attention"; a list of methods gives a list of
            results on the same trace.
        capacity: capacity scheme, default "attention"; or a list.
        residual: weight of the residual connection in [0, 1), "open", or None for the scheme's own.
        heads: "mean", "max", or head indices whose mean is taken.
        target: node position of the last group, negative from the end; a sequence of positions (one set);
            "all" for every position in a row of its own; None for what the model decides: a classifier's
            pooled position, the generated or teacher-forced tokens, the last position of a decoder, the
            [MASK] positions, else position 0.
        players: "tokens", "words", "sentences", "turns", or `(start, end)` character spans of the text.
        exclude: "special", or labels or indices of players to take out of the game.
        generate: number of tokens to decode first; each becomes a target.
        generate_options: passed on to the model's `generate`.
        target_text: a continuation, or an encoder-decoder's output, to teacher-force instead.
        prefix: "players": generated tokens are players. "closed": flow into them is traced on to the
            prompt that they were decided from.
        layers: `(first, last)`, 1-based: explain only through these layers.
        bounds: also compute each player's interval and bottleneck.
        samples: sampled orders for "shapley".
        stderr: standard error to sample to, as a fraction of v(N).
        decay: see `attribute`.
        seed: of sampling, in decoding and in Shapley values.
        threads: solver threads; None: all cores.
        allow_partial: treat layers without attention as identity, and say so in the result.
        trust_remote_code: run modeling code that comes with a checkpoint.
        progress: called as `progress(stage, done, total)`, total None while unknown.

    Returns:
        One Attribution; a list for several methods or capacities; a list of either for several texts.

    Raises:
        InputError: input that the model cannot read.
        OptionError: unknown or contradictory options.
        CaptureError: the model's attention cannot be captured.
        MissingExtraError: an optional dependency is not installed.
    """
    from attnflow import capacity as schemes
    from attnflow import methods

    names = _listed(method, DEFAULT_METHOD)
    capacities = _listed(capacity, DEFAULT_CAPACITY)
    for name in names:
        methods.find(name)
    found = {schemes.find(name).record for name in capacities}
    if len(found) != 1:
        raise OptionError(
            f"capacity={list(capacities)}: these need different captures ({', '.join(sorted(found))})."
        )
    (record,) = found
    if text is not None and not isinstance(text, str):
        return _each(text, model, tokenizer, trust_remote_code, {**_options(locals()), "inputs": inputs})

    from attnflow.capture import capture

    if progress is not None:
        progress("loading the model", 0, None)
    trace = capture(
        model,
        text,
        tokenizer=tokenizer,
        inputs=inputs,
        target_text=target_text,
        generate=generate,
        generate_options=generate_options,
        heads=heads,
        record=record,
        seed=seed,
        allow_partial=allow_partial,
        trust_remote_code=trust_remote_code,
        progress=None if progress is None else lambda done, total: progress("running the model", done, total),
    )
    results = [
        _solve(
            trace,
            name,
            scheme,
            residual=residual,
            target=target,
            players=players,
            exclude=exclude,
            prefix=prefix,
            layers=layers,
            bounds=bounds,
            samples=samples,
            stderr=stderr,
            decay=decay,
            seed=seed,
            threads=threads,
            progress=progress,
        )
        for scheme in capacities
        for name in names
    ]
    several = not (method is None or isinstance(method, str)) or not (
        capacity is None or isinstance(capacity, str)
    )
    return results if several else results[0]


def _solve(
    trace: Trace,
    method: str,
    scheme: str,
    *,
    residual: Any,
    target: Any,
    players: Any,
    exclude: Any,
    prefix: Any,
    layers: Any,
    samples: int | None,
    stderr: float | None,
    progress: Progress | None,
    **options: Any,
) -> Attribution:
    from attnflow import methods
    from attnflow.maxflow.compilation import compile_kernels
    from attnflow.network import FlowNetwork
    from attnflow.players import excluded, player_groups

    network = FlowNetwork.from_trace(trace, scheme, residual, prefix, layers)
    targets, weights = _targets(network, target)
    grouping = None if players == "tokens" else player_groups(network.players, network.text, players)
    if methods.find(method).samples:
        options |= {"samples": samples, "stderr": stderr}
    elif (samples is not None or stderr is not None) and not methods.find(method).samples:
        raise OptionError(f"method={method!r} samples nothing: leave out samples and stderr.")
    compile_kernels(progress)
    return methods.attribute(
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


def _targets(network: Any, target: Any) -> tuple[list[Any], list[Any] | None]:
    if isinstance(target, str):
        if target != "all":
            raise OptionError(
                f"target={target!r}: expected a position, a sequence of positions, 'all', or None."
            )
        return list(range(network.size)), None
    if target is not None:
        return [network.positions(target)], None
    if network.decisions:
        decisions = network.decisions
        return [d.positions for d in decisions], [d.weights for d in decisions]
    return [network.size - 1 if network.architecture != "encoder" else 0], None


def _listed(value: str | Sequence[str] | None, default: str) -> list[str]:
    if value is None:
        return [default]
    names = [value] if isinstance(value, str) else list(value)
    if not names:
        raise OptionError("An empty list names nothing to compute.")
    return names


def _options(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword options of `explain` among its local variables."""
    import inspect

    names = inspect.signature(explain).parameters
    return {
        name: scope[name] for name in names if name not in ("model", "text", "tokenizer", "trust_remote_code")
    }


def _each(
    texts: Sequence[str], model: Any, tokenizer: Any, trust_remote_code: bool, options: dict[str, Any]
) -> list[Any]:
    from attnflow.capture import load_model

    items = list(texts)
    if not items:
        raise InputError("An empty list of texts: nothing to explain.")
    wrong = next((item for item in items if not isinstance(item, str)), None)
    if wrong is not None:
        raise InputError(f"Expected text or a list of texts, found {type(wrong).__name__} among them.")
    loaded, own = load_model(model, tokenizer, trust_remote_code=trust_remote_code)
    results = []
    for number, item in enumerate(items, start=1):
        try:
            results.append(
                explain(loaded, item, tokenizer=own, trust_remote_code=trust_remote_code, **options)
            )
        except InputError as error:
            raise InputError(f"Text {number} of {len(items)}: {error}") from error
    return results
