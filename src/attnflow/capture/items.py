"""Several inputs handed in at once: what counts as several, and as an input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attnflow.capture.chat import is_chat
from attnflow.errors import InputError, OptionError
from attnflow.media import is_medium
from attnflow.segments import is_pair

#: Inputs per pass where nothing else is asked for.
BATCH_SIZE = 8


def is_list(text: Any) -> bool:
    """Whether this is several inputs: not one text, one pair of texts, one chat, one picture or clip, or none."""
    return not (text is None or isinstance(text, str) or is_pair(text) or is_chat(text) or is_medium(text))


def items_of(texts: Any) -> list[Any]:
    """Several inputs, each checked for what it is.

    Raises:
        InputError: no inputs, or something among them that is none.
    """
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, Mapping)):
        raise InputError(
            f"text: expected a string, a chat as a list of messages, or a list of these, found {type(texts).__name__}."
        )
    items = list(texts)
    if not items:
        raise InputError("An empty list of texts: nothing to explain.")
    for item in items:
        if item is None or is_list(item):
            what = "a message" if isinstance(item, Mapping) else type(item).__name__
            raise InputError(f"Expected a list of texts, or a list of messages, found {what} among others.")
    return items


def parse_batch_size(batch_size: Any) -> int:
    """Reads the option.

    Raises:
        OptionError: not a number of inputs from 1 up.
    """
    if batch_size is None:
        return BATCH_SIZE
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise OptionError(f"batch_size={batch_size!r}: expected a number of inputs from 1 up.")
    return batch_size
