"""Models of one's own: what attnflow has to be told about a class, once.

Attention is seen without being told, wherever a softmax mixes values. What nobody can see is how a text becomes what
the model reads, which of the things that it returns are logits, and what its outputs are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attnflow.errors import OptionError
from attnflow.trace import Token

#: Stacks that an attention module can belong to.
STACKS = ("encoder", "decoder", "cross")


@dataclass(frozen=True, eq=False)
class Reading:
    """One input as a model reads it.

    Attributes:
        inputs: what the model is called with: keyword arguments, or positional ones; a batch of one.
        tokens: names of the positions of the encoder, or of the only stack; `Token`s where ids or spans are known.
        decoder_tokens: of the decoder of an encoder-decoder.
        prompt: number of leading decoder positions that were given rather than decoded; None for all.
        decided: ids of the tokens that the decoder decides from position `prompt - 1` on.
        text: the text that the tokens' spans refer to.
    """

    inputs: Mapping[str, Any] | Sequence[Any]
    tokens: Sequence[str | Token] = ()
    decoder_tokens: Sequence[str | Token] = ()
    prompt: int | None = None
    decided: Sequence[int] = ()
    text: str | None = None


@dataclass(frozen=True, eq=False)
class CustomModel:
    """What is known of a class of models; see `register_model`."""

    attention: tuple[type, ...] = ()
    read: Callable[..., Reading] | None = None
    logits: Callable[[Any], Any] | None = None
    vocabulary: Callable[[Any], Sequence[str]] | None = None
    stack: Callable[[str], str | None] | None = None
    embedding: str | None = None


REGISTERED: dict[type, CustomModel] = {}


def register_model(
    model_class: type,
    *,
    attention: type | Sequence[type] = (),
    read: Callable[..., Reading] | None = None,
    logits: Callable[[Any], Any] | None = None,
    vocabulary: Callable[[Any], Sequence[str]] | None = None,
    stack: Callable[[str], str | None] | None = None,
    embedding: str | None = None,
) -> None:
    """Tells attnflow how to read a class of PyTorch models, so that `explain` and `capture` take them.

    Everything is optional: what a model does not need need not be said. Registering a class again replaces what was
    said of it.

    Args:
        model_class: the class, subclasses included.
        attention: classes of modules whose softmax is attention, for models that mix by other softmaxes too (a gate, a
            router, a pooling head); without it, every softmax that mixes values counts.
        read: `read(model, tokenizer, text, target_text)` to a `Reading`; without it, give `inputs=` instead of text.
            `tokenizer` is whatever was handed to `explain`.
        logits: from what the model returns to the logits, `[1, classes]` or `[1, positions, classes]`; None: the
            `logits` it returns, or the tensor.
        vocabulary: from the tokenizer to the names of all outputs by id: tokens or classes.
        stack: from the qualified name of an attention module to "encoder", "decoder" (its self-attention) or "cross";
            None where the shapes and names say it.
        embedding: qualified name of the module that embeds the input ids, for integrated gradients (`steps`).

    Raises:
        OptionError: not a class.
    """
    classes = (attention,) if isinstance(attention, type) else tuple(attention)
    for cls in (model_class, *classes):
        if not isinstance(cls, type):
            raise OptionError(f"register_model expects classes, found {cls!r}; did you mean its type?")
    REGISTERED[model_class] = CustomModel(classes, read, logits, vocabulary, stack, embedding)


def custom_of(model: Any) -> CustomModel:
    """What is registered for a model's class or the nearest of its bases; nothing, if none is."""
    for cls in type(model).__mro__:
        if cls in REGISTERED:
            return REGISTERED[cls]
    return CustomModel()


def is_registered(model: Any) -> bool:
    """Whether a model's class, or a base of it, is registered."""
    return any(cls in REGISTERED for cls in type(model).__mro__)
