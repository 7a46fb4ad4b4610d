"""Where the input's ids stand in a sequence that a model makes longer by positions of its own.

Some models put patches of an image before or behind the words, in one sequence. Where the words are is nobody's
convention: it is read off the model. Its word embeddings are moved a little, and the positions of the first layer's
input that move with them are the words'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from attnflow.capture.interface import forward
from attnflow.capture.layers import layer_of
from attnflow.capture.patches import special
from attnflow.errors import CaptureError
from attnflow.trace import Token


def places_of_ids(
    model: Any, tensors: dict[str, Any], attention: str, count: int, size: int
) -> tuple[int, ...]:
    """Finds them by three passes up to the first layer.

    Args:
        model: inside `as_found`.
        tensors: what it runs on.
        attention: name of the first attention module.
        count: number of ids.
        size: number of positions.

    Returns:
        Per id its position, in order.

    Raises:
        CaptureError: the words do not stand in their order, one position each.
    """
    layer, embedding = layer_of(attention), _embedding(model)
    if layer is not None and embedding is not None:
        plain, every, last = (
            _entering(model, tensors, layer, embedding, count, moved)
            for moved in ((), range(count), (count - 1,))
        )
        if plain is not None and every is not None and last is not None and plain.shape[0] == size:
            moved = torch.nonzero((every - plain).abs().sum(-1)).flatten().tolist()
            final = torch.nonzero((last - plain).abs().sum(-1)).flatten().tolist()
            if len(moved) == count and final == moved[-1:]:
                return tuple(moved)
    raise CaptureError(
        f"{type(model).__name__} makes {size} positions of {count} ids, and which of them the ids are cannot be told: "
        "expected one for each id, in their order, beside positions of the model's own."
    )


def lay_among(tokens: Sequence[Token], places: Sequence[int], size: int) -> tuple[Token, ...]:
    """The tokens at their places, the model's own positions numbered between them."""
    held = dict(zip(places, tokens))
    own = iter(special("own position", size - len(held), first=0))
    return tuple(held[index] if index in held else next(own) for index in range(size))


class _Entered(Exception):  # noqa: N818
    """Stops a pass at the first layer."""


def _embedding(model: Any) -> torch.nn.Module | None:
    try:
        found = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, torch.nn.Module) else None


def _entering(
    model: Any,
    tensors: dict[str, Any],
    layer: str,
    embedding: torch.nn.Module,
    count: int,
    moved: Sequence[int],
) -> torch.Tensor | None:
    """What enters the first layer, `[positions, width]`, with the embeddings of some ids moved."""
    seen: list[torch.Tensor] = []

    def enter(module: Any, args: Any, kwargs: Any) -> None:
        found = [kwargs.get("hidden_states"), *args]
        seen.extend(x.detach()[0] for x in found if torch.is_tensor(x) and x.ndim == 3 and x.shape[0] == 1)
        raise _Entered

    def move(module: Any, args: Any, output: Any) -> Any:
        if not torch.is_tensor(output) or output.ndim != 3 or output.shape[1] != count:
            return None
        other = output.clone()
        other[:, list(moved)] += torch.linspace(0.5, 1.0, output.shape[-1]).to(output)
        return other

    torch.default_generator.manual_seed(0)  # patches may be drawn; `as_found` puts the state back
    with _hooked(model.get_submodule(layer), enter, embedding, move), contextlib.suppress(_Entered):
        forward(model, tensors)
    return seen[0] if seen else None


@contextlib.contextmanager
def _hooked(layer: torch.nn.Module, enter: Any, embedding: torch.nn.Module, move: Any) -> Iterator[None]:
    handles = [
        layer.register_forward_pre_hook(enter, with_kwargs=True),
        embedding.register_forward_hook(move),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
