"""A prediction as a function of its token embeddings, to be differentiated.

The output of the embedding modules is replaced as it leaves them, scales and projections behind them included, so
that families that take no `inputs_embeds`, or scale them in another place, work alike.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attnflow.errors import InputError
from attnflow.evaluate.prediction import Prediction

if TYPE_CHECKING:
    import torch


def embedded(prediction: Prediction, ids: Sequence[int] | None = None) -> tuple[torch.Tensor, ...]:
    """The embeddings of the input, one tensor `[1, positions, width]` per sequence that goes in.

    Args:
        prediction: whose model embeds.
        ids: in the place of its own, as many.
    """
    import torch

    given = prediction.ids if ids is None else tuple(ids)
    modules = _modules(prediction)
    device = next(prediction.model.parameters()).device
    with torch.no_grad():
        return tuple(
            module(torch.tensor([given[part]], device=device)).detach()
            for module, part in zip(modules, prediction.stacks)
        )


def output_of(prediction: Prediction) -> Callable[..., torch.Tensor]:
    """A function from embeddings `[batch, positions, width]`, one tensor per sequence, to the logit y `[batch]`.

    Of a contrast y is the difference of the two logits. Call it inside `evaluating`.
    """
    whole = prediction.tensors()

    def y(*embeddings: torch.Tensor) -> torch.Tensor:
        batch = embeddings[0].shape[0]
        tensors = {name: value.expand(batch, *value.shape[1:]) for name, value in whole.items()}
        with _fed(prediction, embeddings):
            logits = prediction.run(tensors).double()
        prediction.cost.forward += batch
        if embeddings[0].requires_grad:
            prediction.cost.backward += batch
        chosen = logits[:, prediction.output[0]]
        if len(prediction.output) == 2:
            chosen = chosen - logits[:, prediction.output[1]]
        return chosen

    return y


def _modules(prediction: Prediction) -> tuple[Any, ...]:
    """The embedding module of every sequence that goes in."""
    import torch

    from attnflow.capture.generation import decoder_of, encoder_of

    model = prediction.model
    parts = (encoder_of(model), decoder_of(model)) if prediction.decoder else (model,)
    modules = tuple(part.get_input_embeddings() for part in parts)
    if not all(isinstance(module, torch.nn.Module) for module in modules):
        raise InputError(f"{type(model).__name__} has no token embeddings to differentiate with respect to.")
    return modules


@contextlib.contextmanager
def _fed(prediction: Prediction, embeddings: Sequence[torch.Tensor]) -> Iterator[None]:
    """Passes in this block read these embeddings; a module that serves both sequences, the source's first."""
    waiting: dict[Any, list[torch.Tensor]] = defaultdict(list)
    for module, embedding in zip(_modules(prediction), embeddings):
        waiting[module].append(embedding)

    def feed(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        if not waiting[module]:
            raise InputError(
                f"{type(prediction.model).__name__} embeds more than the tokens that go in: expected one call for each "
                "sequence."
            )
        fed = waiting[module].pop(0)
        if fed.shape != output.shape:
            raise InputError(
                f"{type(prediction.model).__name__}: the token embeddings have shape {list(output.shape)}, expected "
                f"{list(fed.shape)}."
            )
        return fed

    handles = [module.register_forward_hook(feed) for module in waiting]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
