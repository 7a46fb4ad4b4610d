"""The whole walk in one call: model and input to attribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from attnflow.attribution import Attribution
from attnflow.capacity import Scheme, find
from attnflow.capture.items import is_list, items_of
from attnflow.comparison import Comparison
from attnflow.defaults import alike, candidates, default_method, noted
from attnflow.errors import CaptureError, OptionError
from attnflow.trace import Trace

Progress = Callable[[str, int, int | None], None]
#: Messages, each with role and content.
Chat = Sequence[Mapping[str, Any]]


def explain(
    model: Any,
    text: str | Chat | Sequence[str | Chat] | None = None,
    *,
    tokenizer: Any = None,
    image: Any = None,
    audio: Any = None,
    processor: Any = None,
    inputs: Mapping[str, Any] | None = None,
    method: str | Sequence[str] | None = None,
    capacity: str | Scheme | Sequence[str | Scheme] | None = None,
    residual: float | str | None = None,
    signed: bool = False,
    steps: int = 1,
    baseline: str | None = None,
    heads: str | Sequence[int] = "mean",
    target: int | Sequence[int] | str | None = None,
    output: int | str | Sequence[int | str] | None = None,
    players: str | tuple[str, float] | Sequence[tuple[int, int]] = "tokens",
    exclude: str | Sequence[int | str] = (),
    generate: int | None = None,
    generate_options: Mapping[str, Any] | None = None,
    target_text: str | None = None,
    prefix: str = "players",
    layers: tuple[int, int] | None = None,
    bounds: bool = True,
    samples: int | None = None,
    stderr: float | None = None,
    mu: float | None = None,
    decay: bool = False,
    seed: int = 0,
    threads: int | None = None,
    allow_partial: bool = False,
    trust_remote_code: bool = False,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Attribution | Comparison | list[Any]:
    """Explains a prediction: how much of the target's flow comes from each part of the input.

    The model runs; its attention spans a flow network; exact maximum flows through it become scores.
    Gradient capacities (`conserved`, the default, `relevance` and others) ask about one output, in the units of its
    logit, and cost one backward pass for each. With `attention` and `norm` capacities scores are unsigned, and the same
    whatever class is asked about: they say where information could have come from, not what it argued for. The plain
    attention flow of the papers is `capacity="attention"`.

    Where no capacity is named, the first of "conserved", "relevance" and "attention" is taken that the model and the
    other options allow; if it is not the first that the options allow, the result's notes say why. What is named is
    never replaced.

    Args:
        model: a transformers model, a local directory, the name of a bundled model, or a hub id, or any PyTorch model
            and what else docs/custom-models.md lists.
        text: the input: a text, a tuple of two texts that the model reads as a pair, or a chat as a list of messages
            with `role` and `content`, see `capture`. A list of any of these gives a list of results.
        tokenizer: for a loaded model; default the one it was loaded with. A processor does too.
        image: a picture to explain, alone or within a text: a PIL image, a path or an array; see `capture`.
        audio: a clip to explain: a path, or `(samples, rate)`; see `capture`.
        processor: what preprocesses them; default the one the model was loaded with.
        inputs: keyword tensors for the model instead of text.
        method: "flow" (default), "shapley", "central", "rollout" or "attention"; a list of methods gives a
            Comparison on the same trace. Without a method, `samples` and `stderr` mean "shapley", and `mu` "central".
        capacity: capacity scheme: "conserved", "relevance", "attention", "norm", "gradient", "attention-gradient", or
            one of your own, see `attnflow.capacity.declared`; or a list. None: "conserved" where it can be had, see
            above; "attention" for methods "rollout" and "attention", with `prefix="closed"`, a number as residual,
            heads="max" or target="mean".
        residual: weight of the residual connection in [0, 1), "open", or None for the scheme's own.
        signed: for gradient capacities: what speaks for the output minus what speaks against it, both kept.
        steps: for gradient capacities: gradients averaged over this many points from a baseline to the input.
        baseline: of `steps`: "mask", "pad" or "zero"; None: the first of them that the tokenizer has.
        heads: "mean", "max", or head indices whose mean is taken.
        target: node position of the last group, negative from the end; a sequence of positions (one set);
            "all" for every position in a row of its own; "mean" for the mean of all positions, as mean-pooled
            embeddings read them; None for what the model decides: what a classifier or an embedding's pooling reads,
            the generated or teacher-forced tokens, the letters of speech, the objects that are detected, the last
            position of a decoder, the [MASK] positions, else position 0.
        output: for gradient capacities: the class (index or label) or token (id, or text of exactly one token) asked
            about; a pair `(a, b)` for the logit of a minus that of b. None: the predicted class; the token that each
            target decides.
        players: "tokens", "words", "sentences", "turns" (a chat's messages), or `(start, end)` character spans of
            the text; a chat's text is the prompt that its template makes. Of an image every patch is a player, or
            `("blocks", n)` for squares of n by n patches; of sound every frame, or `("windows", s)` for stretches of s
            seconds.
        exclude: "special", or labels or indices of players to take out of the game.
        generate: number of tokens to decode first; each becomes a target. None: a bundled model that answers gives
            its answer, any other decodes nothing.
        generate_options: passed on to the model's `generate`.
        target_text: a continuation, or an encoder-decoder's output, to teacher-force instead.
        prefix: "players": generated tokens are players. "closed": flow into them is traced on to the
            prompt that they were decided from.
        layers: `(first, last)`, 1-based: explain only through these layers.
        bounds: also compute each player's interval and bottleneck.
        samples: sampled orders for "shapley".
        stderr: standard error to sample to, as a fraction of v(N).
        mu: for "central", a finite barrier; None: its limit. See `attribute`.
        decay: see `attribute`.
        seed: of sampling, in decoding and in Shapley values.
        threads: solver threads; None: all cores.
        allow_partial: treat layers without attention as identity, and say so in the result.
        trust_remote_code: run modeling code that comes with a checkpoint.
        batch_size: of a list of texts, most that one pass reads; None for 8. Each result is that of its text alone,
            up to rounding, see `attnflow.capture.capture_each`.
        progress: called as `progress(stage, done, total)`, total None while unknown.

    Returns:
        One Attribution; a Comparison, their sequence, for a list of methods or capacities; a list of either for
        several texts.

    Raises:
        InputError: input that the model cannot read.
        OptionError: unknown or contradictory options.
        CaptureError: the model's attention cannot be captured.
        MissingExtraError: an optional dependency is not installed.
    """
    from attnflow import methods

    if isinstance(heads, str) and heads == "all":
        raise OptionError(
            "heads='all' keeps every head apart, which only a trace can: choose 'mean', 'max' or head indices here, or "
            "capture(heads='all') and build a network of each."
        )
    sampled = samples is not None or stderr is not None
    names = _listed(method, default_method(sampled=sampled, barrier=mu is not None))
    for name in names:
        methods.find(name)
    question = {
        "output": output,
        "signed": signed or None,
        "steps": None if steps == 1 else steps,
        "baseline": baseline,
    }
    if capacity is None:
        asked = any(value is not None for value in question.values())
        way: dict[str, Any] = {
            "asked": asked,
            "prefix": prefix,
            "residual": residual,
            "heads": heads,
            "target": target,
        }
        found = candidates(names, **way)
        tried = [[find(name)] for name in found]
        why = alike(names, **way)
    else:
        why = []
        tried = [[find(scheme) for scheme in _listed(capacity, "")]]
    for capacities in tried:
        _check_question(question, capacities, names)
    from attnflow.capture import capture_each, capture_targets
    from attnflow.walk import solve

    several = not (method is None or isinstance(method, str)) or not (
        capacity is None or isinstance(capacity, (str, Scheme))
    )

    def solved(
        traces: list[Trace], capacities: Sequence[Scheme], progress: Progress | None
    ) -> Attribution | Comparison:
        results = [
            solve(
                traces,
                name,
                scheme,
                signed=signed,
                residual=residual,
                target=None if _is_any_gradient(capacities) else target,
                players=players,
                exclude=exclude,
                prefix=prefix,
                layers=layers,
                bounds=bounds,
                samples=samples,
                stderr=stderr,
                mu=mu,
                decay=decay,
                seed=seed,
                threads=threads,
                progress=progress,
            )
            for scheme in capacities
            for name in names
        ]
        return Comparison(tuple(results)) if several else results[0]

    if progress is not None:
        progress("loading the model", 0, None)
    single = target if target is None or isinstance(target, str) else [target]
    options: dict[str, Any] = {
        "tokenizer": tokenizer,
        "image": image,
        "audio": audio,
        "processor": processor,
        "inputs": inputs,
        "target_text": target_text,
        "generate": generate,
        "generate_options": generate_options,
        "heads": heads,
        "seed": seed,
        "allow_partial": allow_partial,
        "trust_remote_code": trust_remote_code,
    }

    def answered(capacities: Sequence[Scheme]) -> Attribution | Comparison | list[Any]:
        gradient = _is_any_gradient(capacities)
        about: dict[str, Any] = {
            "record": [scheme.record for scheme in capacities],
            "targets": single if gradient else None,
            "output": output,
            "steps": steps,
            "baseline": baseline,
        }
        if is_list(text):
            items = items_of(text)
            found = {}
            for index, traces in capture_each(model, items, batch_size=batch_size, **options, **about):
                found[index] = solved(traces, capacities, None)
                if progress is not None:
                    progress("explaining texts", len(found), len(items))
            return [found[index] for index in range(len(items))]
        traces = capture_targets(
            model,
            cast("str | Chat | None", text),
            progress=None
            if progress is None
            else lambda done, total: progress("running the model", done, total),
            **options,
            **about,
        )
        return solved(traces, capacities, progress)

    if not is_list(text) and batch_size is not None:
        raise OptionError(f"batch_size={batch_size!r} goes with a list of texts, and this is one.")
    reasons = list(why)
    for capacities in tried[:-1]:
        try:
            return noted(answered(capacities), reasons)
        except (CaptureError, OptionError) as error:
            reasons.append(f"{capacities[0].name!r} cannot be had here ({str(error).rstrip('.')})")
    return noted(answered(tried[-1]), reasons)


def _is_any_gradient(capacities: Sequence[Scheme]) -> bool:
    return any(scheme.gradient for scheme in capacities)


def _check_question(
    question: Mapping[str, Any], capacities: Sequence[Scheme], methods: Sequence[str]
) -> None:
    """Refuses questions about an output that a capacity scheme or method cannot answer."""
    asked = [name for name, value in question.items() if value is not None]
    blind = [scheme.name for scheme in capacities if not scheme.gradient]
    if asked and blind:
        raise OptionError(
            f"{asked[0]}={question[asked[0]]!r} has no effect on {blind[0]!r} capacities, which are the same whatever "
            "output is asked about: leave it out, or choose a gradient capacity such as 'relevance'."
        )
    if question["signed"] and "attention" in methods:
        raise OptionError(
            "signed=True with method 'attention': the last layer's attention is the same for and against an output."
        )


def _listed(value: Any, default: str) -> list[Any]:
    if value is None:
        return [default]
    if isinstance(value, (str, Scheme)) or callable(value):
        return [value]
    if not isinstance(value, Sequence):
        raise OptionError(f"Found {value!r}; expected a name, or a list of names.")
    names = list(value)
    if not names:
        raise OptionError("An empty list names nothing to compute.")
    return names
