"""From what is typed to what `attnflow.explain` takes.

What cannot be read is refused with the option's name; nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

#: What gets a score, by name.
PLAYERS = ("tokens", "words", "sentences", "turns")


class Baseline(StrEnum):
    """What the input is compared with."""

    mask = "mask"
    pad = "pad"
    zero = "zero"


class Figure(StrEnum):
    """Kind of figure."""

    tokens = "tokens"
    flow = "flow"
    matrix = "matrix"
    bounds = "bounds"


class Prefix(StrEnum):
    """What generated tokens are."""

    players = "players"
    closed = "closed"


def names(text: str | None) -> str | list[str] | None:
    """A name, or several with commas between."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    return names if len(names) > 1 else names[0]


def question(output: Sequence[str], signed: bool, steps: int, baseline: Baseline | None) -> dict[str, Any]:
    """The options of gradient capacities that were given."""
    if len(output) > 2:
        raise typer.BadParameter("takes one output, or two to contrast.", param_hint="--output")
    if baseline is not None and steps == 1:
        raise typer.BadParameter("needs --steps K above 1.", param_hint="--baseline")
    outputs = tuple(_number_or_text(item) for item in output)
    given = {
        "output": outputs if len(outputs) > 1 else outputs[0] if outputs else None,
        "signed": signed or None,
        "steps": steps if steps > 1 else None,
        "baseline": None if baseline is None else str(baseline),
    }
    return {name: value for name, value in given.items() if value is not None}


def _number_or_text(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else text


def players(text: str) -> str | tuple[str, float]:
    """A kind of players, or `blocks:2` and `windows:0.2`."""
    name, colon, size = text.partition(":")
    if not colon:
        if name not in PLAYERS:
            raise typer.BadParameter(
                f"{text!r} is none of {', '.join(PLAYERS)}, blocks:N, windows:SECONDS.",
                param_hint="--players",
            )
        return name
    try:
        return name, int(size) if name == "blocks" else float(size)
    except ValueError as error:
        raise typer.BadParameter(f"{size!r} is no number.", param_hint="--players") from error


def target(text: str) -> int | str | tuple[int, ...]:
    """A position, a set of positions, "all", or the text of a token."""
    if re.fullmatch(r"-?\d+(,-?\d+)+", text):
        return tuple(int(part) for part in text.split(","))
    return _number_or_text(text)


def exclude(items: Sequence[str]) -> str | tuple[int | str, ...]:
    """Numbers and texts of players, or "special" on its own for all special tokens."""
    if list(items) == ["special"]:
        return "special"
    if "special" in items:
        raise typer.BadParameter("'special' stands alone; name the others by text.", param_hint="--exclude")
    return tuple(_number_or_text(item) for item in items)


def residual(text: str | None) -> float | str | None:
    """A weight, or "open"."""
    if text is None or text == "open":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a number nor 'open'.", param_hint="--residual"
        ) from None


def heads(text: str) -> str | list[int]:
    """Numbers of heads, or the name of a reduction."""
    if re.fullmatch(r"\d+(,\d+)*", text):
        return [int(part) for part in text.split(",")]
    return text


def sampling(sample: bool, temperature: float | None, top_p: float | None) -> dict[str, Any]:
    """Options of the model's `generate`."""
    found = {"temperature": temperature, "top_p": top_p}
    given = {name: value for name, value in found.items() if value is not None}
    if given and not sample:
        raise typer.BadParameter("only means something with --sample.", param_hint="--temperature, --top-p")
    return {"do_sample": True, **given} if sample else {}


def messages(path: Path | None) -> Any:
    """The messages in a JSON file."""
    import json

    from attnflow.capture.chat import is_chat
    from attnflow.errors import InputError

    if path is None:
        return None
    try:
        messages = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read a chat from {str(path)!r}: {error}.") from error
    if not is_chat(messages):
        raise InputError(
            f"{str(path)!r} holds no chat: expected a JSON list of messages with role and content."
        )
    return messages


def read(text: str) -> str:
    """The input text, from standard input if it is `-`."""
    from attnflow.errors import InputError

    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"Standard input is not UTF-8 text (byte {error.start}): convert it first."
            ) from error
        text = text.removesuffix("\n").removesuffix("\r")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InputError("The text is not UTF-8: expected text, found other bytes.")
    return text


#: Of the kinds of files that options write, and other pictures and tables that they are easily taken for.
SUFFIXES = frozenset({".html", ".svg", ".pdf", ".png", ".json", ".csv", ".md", ".jpg", ".jpeg", ".gif"})


def check_files(files: Mapping[str, Path | None]) -> None:
    """Refuses files whose folder does not exist, or which are named as another kind than is written.

    Args:
        files: by option, such as "--svg", where to; None: nowhere.
    """
    for option, path in files.items():
        if path is None:
            continue
        own = f".{option.lstrip('-')}"
        if own in SUFFIXES and path.suffix.lower() in SUFFIXES - {own}:
            raise typer.BadParameter(f"{path.name!r} is named as another kind of file.", param_hint=option)
        if not path.absolute().parent.is_dir():
            raise typer.BadParameter(
                f"there is no folder {str(path.absolute().parent)!r}.", param_hint=option
            )
