"""Chats: the text that a tokenizer's template makes of messages, and which parts of it the messages say.

A template is a program; nothing in its output says what came from where. So each message is rendered again
with a mark put into its content: where the mark comes out, with everything else as it was, that character of
the content stands. Both ends of every content are found so. No text is searched for, which is why equal
messages, contents that a template trims or escapes, and contents that look like template are no problem. A
content that cannot be pinned down so is refused.

This module needs no torch: it knows strings and a tokenizer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeGuard

from attnflow.errors import InputError
from attnflow.segments import Span, check_text

#: Put into contents to see where they come out: private-use characters, which no template treats specially.
_MARK = "\uf8b1\ue4d7\uf3a9"
#: Of one mark, so that longer ones can be made if a chat has it.
_MORE = "\ue19c"
_KEYS = frozenset({"role", "content"})
#: Characters whose escapes begin or end with themselves, so that they do not tell whether they are escaped.
_DOUBLED = frozenset("&\\\"'%{}")


@dataclass(frozen=True)
class Message:
    """One message of a chat.

    Attributes:
        role: who says it: "system", "user", "assistant" or whatever else the template knows.
        parts: its text, or texts.
        listed: True if the content came as a list of parts.
        senses: for a list, the kind of every part in order: "text", "image" or "audio".
    """

    role: str
    parts: tuple[str, ...]
    listed: bool = False
    senses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chat:
    """A rendered chat.

    Attributes:
        text: what the template made of the messages.
        messages: the messages.
        contents: `(span, index of the message)` of every content in the text, in order. A blank content that
            the template leaves out has none.
        ends: per message where its turn ends in the text, with the template's text around the content.
        answer: index of the turn that a continuation belongs to: that of a last message by the assistant, or
            the one after all messages.
    """

    text: str
    messages: tuple[Message, ...]
    contents: tuple[tuple[Span, int], ...]
    ends: tuple[int, ...]
    answer: int

    def speaker(self, start: int, end: int) -> int | None:
        """Index of the message whose content is in a stretch of the text, None for the template's own text.

        Raises:
            InputError: the stretch holds text of two messages.
        """
        inside = {
            index for (first, last), index in self.contents if first < end and start < max(last, first + 1)
        }
        if len(inside) > 1:
            one, other = sorted(inside)[:2]
            raise InputError(
                f"The token {self.text[start:end]!r} holds text of messages {one} and {other}: the chat template "
                "puts nothing between them, so their tokens cannot be told apart."
            )
        return inside.pop() if inside else None

    def turn(self, start: int) -> int:
        """Index of the turn that a character of the template's own text belongs to."""
        return bisect_right(self.ends, start)


def is_chat(value: object) -> TypeGuard[Sequence[Mapping[str, Any]]]:
    """Whether a value is one chat: a list of messages, each a mapping. A list of strings or of chats is not."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, (str, bytes))
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
    )


def parse(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Checks messages: roles and texts, nothing else.

    Raises:
        InputError: a message without role or content, or with anything but text.
    """
    return tuple(_message(number, item) for number, item in enumerate(messages))


def _message(number: int, item: Mapping[str, Any]) -> Message:
    where = f"Message {number}"
    missing = sorted(name for name in _KEYS if item.get(name) is None)
    if missing:
        raise InputError(f"{where} has no {' and no '.join(missing)}: expected both role and content.")
    more = sorted(str(name) for name in set(item) - _KEYS if item[name] is not None)
    if more:
        raise InputError(
            f"{where} has {', '.join(map(repr, more))} beside role and content, and only text is explained: leave "
            "it out, or render the chat with the tokenizer and pass the text."
        )
    role, content = item["role"], item["content"]
    senses: tuple[str, ...] = ()
    if not isinstance(role, str) or not role.strip():
        raise InputError(f"{where} has role {role!r}: expected a name such as 'user'.")
    if isinstance(content, str):
        parts: tuple[str, ...] = (content,)
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        senses = tuple(_sense(part) for part in content)
        parts = tuple(_part(where, part) for part, sense in zip(content, senses) if sense == "text")
    else:
        raise InputError(
            f"{where} has content of type {type(content).__name__}: expected text or a list of texts."
        )
    for part in parts:
        try:
            check_text(part)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    return Message(role, parts, not isinstance(content, str), senses)


def _sense(part: Any) -> str:
    kind = part.get("type", "text") if isinstance(part, Mapping) else ""
    return kind if kind in ("image", "audio") else "text"


def held(messages: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The pictures and clips inside the messages themselves, in order, by kind.

    Raises:
        InputError: some parts bring what they show, and others only say that there is something.
    """
    found: dict[str, list[Any]] = {"image": [], "audio": []}
    for item in messages:
        content = item.get("content")
        for part in content if isinstance(content, Sequence) and not isinstance(content, str) else ():
            kind = _sense(part)
            if kind != "text":
                places = (kind, "path", "url", "data")
                found[kind].append(next((part[name] for name in places if part.get(name) is not None), None))
    for kind, things in found.items():
        empty = [thing is None for thing in things]
        if any(empty) and not all(empty):
            raise InputError(
                f"Some {kind} parts of the chat hold one and others do not: expected all, or none."
            )
        if all(empty):
            found[kind] = []
    return found


def _part(where: str, part: Any) -> str:
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise InputError(
        f'{where} has a part of type {kind!r}: expected text, as {{"type": "text", "text": ...}}, or an image or audio.'
    )


def render(tokenizer: Any, messages: Sequence[Message], *, answering: bool) -> Chat:
    """Renders a chat and finds every content in the text.

    Args:
        tokenizer: the tokenizer whose template renders it.
        messages: the messages, at least one.
        answering: True for a model that goes on with the chat: the text ends where the assistant's answer
            begins, or inside the last message if that is the assistant's. False for a model that judges
            it: the text is the finished chat.

    Raises:
        InputError: no template, messages that it refuses, or a content that cannot be located exactly.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise InputError(
            f"{type(tokenizer).__name__} has no chat template, so it cannot render a list of messages: set "
            "tokenizer.chat_template, or pass the prompt as text."
        )
    going_on = answering and messages[-1].role == "assistant"
    listed = _reads_lists(tokenizer, messages)

    def rendered(chat: Sequence[Message], **options: bool) -> str:
        return _rendered(tokenizer, chat, listed, **options)

    def whole(chat: Sequence[Message]) -> str:
        return rendered(chat, open=answering and not going_on, going_on=going_on)

    text = whole(messages)
    mark = _MARK
    while mark in text or any(mark in part for message in messages for part in message.parts):
        mark += _MORE
    contents = []
    for index, message in enumerate(messages):
        for place, part in enumerate(message.parts):

            def marked(at: int, index: int = index, place: int = place) -> str:
                return whole(_marked(messages, index, place, at, mark))

            span = _located(part, text, mark, marked, f"message {index} ({message.role})")
            if span is not None:
                contents.append((span, index))
    contents.sort()
    for (one, first), (other, second) in pairwise(contents):
        if other[0] < one[1]:
            raise InputError(f"The chat template interleaves messages {first} and {second}.")
    return Chat(
        text,
        tuple(messages),
        tuple(contents),
        _ends(text, messages, contents, rendered, going_on),
        len(messages) - 1 if going_on else len(messages),
    )


def _rendered(
    tokenizer: Any, messages: Sequence[Message], listed: bool, *, open: bool = False, going_on: bool = False
) -> str:
    chat = [
        {"role": message.role, "content": _content(message, listed or not message.listed)}
        for message in messages
    ]
    try:
        text = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=open, continue_final_message=going_on
        )
    except Exception as error:  # a template is a program: what it raises is its own affair
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        raise InputError(f"The chat template cannot render these messages: {reason}.") from error
    return str(text)


def _content(message: Message, as_given: bool) -> Any:
    if not as_given and not set(message.senses) - {"text"}:
        return "\n".join(message.parts)
    if not message.listed:
        return message.parts[0]
    texts = iter(message.parts)
    senses = message.senses or ("text",) * len(message.parts)
    return [{"type": "text", "text": next(texts)} if kind == "text" else {"type": kind} for kind in senses]


def _reads_lists(tokenizer: Any, messages: Sequence[Message]) -> bool:
    """Whether the template reads lists of parts as such; most print them as Python would, or fail."""
    lists = [_content(message, True) for message in messages if message.listed]
    if not lists:
        return False
    if any(set(message.senses) - {"text"} for message in messages):
        return True
    try:
        text = _rendered(tokenizer, messages, True)
    except InputError:
        return False
    return not any(str(parts) in text or (not parts and "[]" in text) for parts in lists)


def _marked(messages: Sequence[Message], index: int, place: int, at: int, mark: str) -> list[Message]:
    chat = list(messages)
    message = chat[index]
    parts = list(message.parts)
    parts[place] = parts[place][:at] + mark + parts[place][at:]
    chat[index] = replace(message, parts=tuple(parts))
    return chat


def _located(
    content: str, text: str, mark: str, marked: Callable[[int], str], what: str
) -> tuple[int, int] | None:
    """Finds a content in the text that was made of it.

    Args:
        content: the content.
        text: the rendered chat.
        mark: what `marked` puts in.
        marked: renders the chat with the mark put into the content before its n-th character.
        what: how messages name the message.

    Returns:
        The span; None for a blank content that is not in the text.
    """

    def place(at: int) -> int | None:
        """Where the n-th character stands: where the mark comes out, if it changes nothing else."""
        try:
            found = marked(at)
        except InputError:  # the template refuses this one
            return None
        if found.count(mark) != 1 or found.replace(mark, "") != text:
            return None
        return found.index(mark)

    size = len(content)
    first, last = size - len(content.lstrip()), len(content.rstrip())
    if first >= last:
        start, end = (place(0), place(size)) if content else (None, None)
        return None if start is None or end is None or start >= end else (start, end)
    start, end = place(0), place(size)
    start = place(first) if start is None else start
    end = place(last) if end is None else end
    if start is not None and end is not None and start < end:
        return start, end
    found = _from_inside(content, text, place, start, end)
    if found is not None:
        return found
    raise InputError(
        f"The chat template changes, repeats or leaves out the content of {what}, so it cannot be located exactly in "
        "the prompt: render the chat with the tokenizer and pass the text."
    )


def _from_inside(
    content: str, text: str, place: Callable[[int], int | None], start: int | None, end: int | None
) -> tuple[int, int] | None:
    """Finds a content whose ends bear no mark, by marks inside it.

    A template may look at how a content begins or ends, or leave out its beginning, such as thoughts before an
    answer. Next to the outermost places that bear a mark, the content must then stand as it is.
    """
    first, last = len(content) - len(content.lstrip()), len(content.rstrip())
    tries = (last, first, *(first + (last - first) * part // 4 for part in (2, 1, 3)))
    anchor = next((at for at in tries if place(at) is not None), None)
    if anchor is None:
        return None
    origin = 0
    if start is None:
        low, high = first, anchor
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if place(middle) is not None else (middle + 1, high)
        begin, rest = place(low) or 0, content[first:low]
        if not rest or (text[:begin].endswith(rest) and not _DOUBLED & set(rest)):
            start, origin = begin - len(rest), first
        elif not text[:begin].rstrip().endswith(rest.rstrip()[-1]):
            start, origin = begin, low  # left out
        else:
            return None
    if end is None:
        low, high = anchor, last
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if place(middle) is not None else (low, middle - 1)
        stop, rest = place(low) or 0, content[low:last]
        if rest and (not text.startswith(rest, stop) or _DOUBLED & set(rest)):
            return None
        end = stop + len(rest)
    whole = text[start:end].strip() == content[origin:last].strip()
    return (start, end) if whole and start < end else None


def _ends(
    text: str,
    messages: Sequence[Message],
    contents: Sequence[tuple[Span, int]],
    rendered: Callable[..., str],
    going_on: bool,
) -> tuple[int, ...]:
    """Where each turn ends: behind what the messages up to it render to, if the text begins so."""
    ends: list[int] = []
    for index in range(len(messages)):
        floor = max([last for (_, last), owner in contents if owner <= index] + ends, default=0)
        ceiling = min([first for (first, _), owner in contents if owner > index], default=len(text))
        if going_on and index == len(messages) - 1:
            ends.append(len(text))
            continue
        try:
            part = rendered(messages[: index + 1])
        except InputError:  # such as a system message alone
            part = ""
        fits = text.startswith(part) and floor <= len(part) <= ceiling
        ends.append(len(part) if fits else floor)
    return tuple(ends)
