"""What decisions and outputs ask of a transformers model and tokenizer, answered for a model of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from attnflow.capture.custom import CustomModel
from attnflow.capture.decisions import Ending
from attnflow.errors import CaptureError


class Words:
    """Names of outputs by id, asked for as a tokenizer is.

    Args:
        names: by id.
    """

    is_fast = False
    unk_token = unk_token_id = mask_token_id = pad_token_id = None
    all_special_ids: tuple[int, ...] = ()

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._ids = {name: id for id, name in reversed(list(enumerate(self.names)))}

    def decode(self, ids: Sequence[int], **options: Any) -> str:
        """The names, one behind the other."""
        return "".join(self.names[id] if 0 <= id < len(self.names) else str(id) for id in ids)

    def convert_ids_to_tokens(self, id: int) -> str:
        """The name of one id."""
        return self.names[id] if 0 <= id < len(self.names) else str(id)

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        """The id of a text that is a name; none otherwise."""
        return {"input_ids": [self._ids[text]] if text in self._ids else []}


#: What timm calls the positions beside the patches, in the terms of transformers.
_ALIASES = {"reg_token": "register_tokens", "dist_token": "distillation_token"}


def stand_in(model: torch.nn.Module, custom: CustomModel, tokenizer: Any) -> StandIn:
    """A stand-in that errors call by the model's own name."""
    named: type[StandIn] = type(type(model).__name__, (StandIn,), {})
    return named(model, custom, tokenizer)


class StandIn:
    """A PyTorch model in the place of a transformers model.

    Args:
        model: the model.
        custom: what is registered for it.
        tokenizer: what was handed in: of transformers, or for the registered functions.
    """

    def __init__(self, model: torch.nn.Module, custom: CustomModel, tokenizer: Any) -> None:
        self.words: Any = None
        names: Sequence[str] | None = None
        if custom.vocabulary is not None:
            names = custom.vocabulary(tokenizer)
            self.words = Words(names)
        elif hasattr(tokenizer, "convert_ids_to_tokens"):
            self.words = tokenizer
        self.model = model
        self.embedding = None if custom.embedding is None else _module(model, custom.embedding)
        self.config = SimpleNamespace(
            vocab_size=None,
            num_labels=None,
            id2label={} if names is None else dict(enumerate(names)),
            pad_token_id=None,
            num_register_tokens=getattr(model, "num_reg_tokens", 0),  # timm
        )

        self._language = False

    def settle(self, ending: Ending, logits: torch.Tensor | None) -> None:
        """Says whether logits at every position are of tokens: a decoder's are, an encoder's if they name as many."""
        count = getattr(self.words, "vocab_size", None)
        self._language = ending.course is not None or (
            logits is not None and count is not None and logits.shape[-1] >= count
        )

    def get_output_embeddings(self) -> Any:
        """Not None if outputs are tokens."""
        return self if self._language else None

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Those of the model, by the names that positions are told by."""
        for name, parameter in self.model.named_parameters():
            folder, dot, last = name.rpartition(".")
            yield folder + dot + _ALIASES.get(last, last), parameter

    def get_input_embeddings(self) -> torch.nn.Module | None:
        """The module that embeds the input, if it was registered."""
        return self.embedding


def _module(model: torch.nn.Module, name: str) -> torch.nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise CaptureError(
            f"{type(model).__name__} has no module {name!r}, which register_model(embedding=...) names."
        ) from error
