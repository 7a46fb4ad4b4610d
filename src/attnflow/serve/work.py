"""From a request to a saved result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnflow import capacity as schemes
from attnflow import methods
from attnflow.comparison import Comparison
from attnflow.errors import InputError, OptionError
from attnflow.explain import explain
from attnflow.serve.catalogue import Catalogue
from attnflow.serve.jobs import Report, Work
from attnflow.serve.schema import ExplainRequest, Options, PictureOptions, options_of
from attnflow.serve.settings import Limits
from attnflow.serve.shelf import Result, Shelf

#: Stages of `explain` that need the model; whatever follows is solved without it.
_MODEL_STAGES = frozenset({"loading the model", "running the model"})


def check_options(request: Options, limits: Limits) -> None:
    """Refuses at once what no job could answer or this server does not allow.

    Raises:
        OptionError: an unknown method or capacity, or more than the limits.
    """
    names = [name for name in _listed(request.method) if methods.find(name)]
    capacities = [name for name in _listed(request.capacity) if schemes.find(name)]
    asked = {
        "results": max(1, len(names)) * max(1, len(capacities)),
        "generate": request.generate or 0,
        "steps": request.steps,
        "samples": request.samples or 0,
    }
    for name, value in asked.items():
        most = getattr(limits, name)
        if value > most:
            raise OptionError(f"{name}={value}: this server allows at most {most}.")


def check_text(request: ExplainRequest, limits: Limits) -> None:
    """Refuses a request without input, with two, or with too much.

    Raises:
        InputError: which of these it is.
    """
    if (request.text is None) == (request.messages is None):
        raise InputError("Expected either text or messages: give exactly one of them.")
    parts = [message.content for message in request.messages or ()]
    check_size([request.text or "", request.target_text or "", *parts], limits)


def check_size(parts: Sequence[str], limits: Limits) -> None:
    """Refuses texts that are too long together, or hold what is no text.

    Raises:
        InputError: which of these it is.
    """
    count = sum(map(len, parts))
    if count > limits.characters:
        raise InputError(
            f"The input has {count:,} characters, this server takes up to {limits.characters:,}: shorten it."
        )
    if any("\ud800" <= char <= "\udfff" for part in parts for char in part):
        raise InputError("The text holds half a surrogate pair, which is no character: remove it.")


def text_work(
    request: ExplainRequest, catalogue: Catalogue, shelf: Shelf, threads: int, limits: Limits
) -> Work:
    """Returns the work of a job that explains a text or a chat."""
    source: Any = request.text
    if request.messages is not None:
        source = [message.model_dump() for message in request.messages]
    return _work(request, {"text": source}, catalogue, shelf, threads, limits)


def picture_work(
    request: PictureOptions,
    image: Any,
    catalogue: Catalogue,
    shelf: Shelf,
    threads: int,
    limits: Limits,
) -> Work:
    """Returns the work of a job that explains a picture, alone or with a text."""
    return _work(request, {"text": request.text, "image": image}, catalogue, shelf, threads, limits)


def _work(
    request: Options,
    given: Mapping[str, Any],
    catalogue: Catalogue,
    shelf: Shelf,
    threads: int,
    limits: Limits,
) -> Work:
    def work(report: Report) -> str:
        stage: tuple[str, int, int | None] = ("waiting for the model", 0, None)
        if not catalogue.is_loaded(request.model):
            stage = ("loading the model", 0, None)
        with catalogue.open(request.model, lambda: report(*stage)) as hold:

            def told(name: str, done: int, total: int | None) -> None:
                nonlocal stage
                stage = (name, done, total)
                report(name, done, total)
                if name not in _MODEL_STAGES:
                    hold.release()

            told("running the model", 0, None)
            if hold.tokenizer is not None:
                _check_tokens(hold.tokenizer, given.get("text"), request, limits)
            result: Result = explain(
                hold.model,
                tokenizer=hold.tokenizer,
                threads=threads,
                progress=told,
                **given,
                **options_of(request),
            )  # type: ignore[assignment]  # a list only for a list of texts
        report("saving the result", 0, None)
        return shelf.put(_named(result, request.model))

    return work


def _check_tokens(tokenizer: Any, text: Any, request: Options, limits: Limits) -> None:
    reader = getattr(tokenizer, "tokenizer", tokenizer)  # a processor has one, an image processor has none
    if not hasattr(reader, "convert_ids_to_tokens"):
        return
    parts = [text] if isinstance(text, str) else [message["content"] for message in text or ()]
    if request.target_text:
        parts.append(request.target_text)
    count = sum(len(reader(part, verbose=False)["input_ids"]) for part in parts) + (request.generate or 0)
    if count > limits.tokens:
        raise InputError(
            f"The input has {count} tokens, this server explains up to {limits.tokens}: shorten it, or ask its "
            "operator for a higher --max-tokens."
        )


def _named(result: Result, name: str) -> Result:
    """The result under the model's name here; the operator's paths are not the visitors' affair."""
    if isinstance(result, Comparison):
        parts = (replace(part, provenance={**part.provenance, "model": name}) for part in result)
        return Comparison(tuple(parts))
    return replace(result, provenance={**result.provenance, "model": name})


def _listed(names: str | list[str] | None) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else names
