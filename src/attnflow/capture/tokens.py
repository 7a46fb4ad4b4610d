"""What a reader sees at each position."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from attnflow.capture.chat import Chat
from attnflow.errors import InputError
from attnflow.trace import Token

_BROKEN = "\ufffd"  # what an incomplete multi-byte character decodes to
_CONTEXT = 6  # tokens decoded before the wanted ones, so that spaces between them come out right


def special_ids(tokenizer: Any) -> set[int]:
    """Ids that a tokenizer or template adds; masks and unknown words stand for text and are left out."""
    if tokenizer is None:
        return set()
    own = {getattr(tokenizer, "unk_token_id", None), getattr(tokenizer, "mask_token_id", None)}
    languages = getattr(tokenizer, "lang_token_to_id", None) or {}  # M2M100 does not list them
    return (set(tokenizer.all_special_ids) | set(languages.values())) - own


def tokens_of_text(tokenizer: Any, text: str, encoding: Any) -> tuple[Token, ...]:
    """Names the positions of a tokenized text.

    Args:
        tokenizer: the tokenizer that made `encoding`.
        text: the source text.
        encoding: its encoding as plain lists: `input_ids`, `special_tokens_mask` and, from a fast tokenizer,
            `offset_mapping`.

    Returns:
        One token per position. Pieces are slices of the text; a character split over several tokens stands at
        each of them.
    """
    ids: list[int] = encoding["input_ids"]
    own = {getattr(tokenizer, "unk_token_id", None), getattr(tokenizer, "mask_token_id", None)}
    special = [bool(flag) and id not in own for id, flag in zip(ids, encoding["special_tokens_mask"])]
    offsets = encoding.get("offset_mapping")
    if offsets is None:
        return _aligned(tokenizer, text, ids, special)
    tokens = []
    for id, flag, (start, end) in zip(ids, special, offsets):
        span = None if flag else _trimmed(text, start, end)
        piece = text[slice(*span)] if span else _vocabulary_piece(tokenizer, id)
        tokens.append(Token(piece, id, span, special=flag))
    return tuple(tokens)


def tokens_of_chat(tokenizer: Any, chat: Chat, encoding: Any) -> tuple[Token, ...]:
    """Names the positions of a rendered chat: whose content each is, or that it is the template's own.

    Args:
        tokenizer: the tokenizer that made `encoding`.
        chat: the chat.
        encoding: the encoding of its text, without special tokens added.

    Raises:
        InputError: the tokenizer states no offsets, or a token is part of two messages.
    """
    offsets = encoding.get("offset_mapping")
    if offsets is None:
        raise InputError(
            f"{type(tokenizer).__name__} does not state where its tokens stand, so a chat's messages cannot be told "
            "from their template: use a fast tokenizer, or pass the prompt as text."
        )
    special = special_ids(tokenizer)
    tokens = []
    for id, (start, end) in zip(encoding["input_ids"], offsets):
        span = _trimmed(chat.text, start, end)
        owner = chat.speaker(*(span or (start, start)))
        piece = chat.text[slice(*span)] if span else _vocabulary_piece(tokenizer, id)
        if owner is None:
            flag, turn = id in special, chat.turn(start)
            tokens.append(Token(piece, id, span, special=flag, template=True, turn=turn))
        else:
            tokens.append(Token(piece, id, span, role=chat.messages[owner].role, turn=owner))
    return tuple(tokens)


def tokens_of_ids(
    tokenizer: Any, ids: Sequence[int], *, generated_from: int | None = None
) -> tuple[Token, ...]:
    """Names positions of which only the ids are known; without a tokenizer, by the ids themselves."""
    special = special_ids(tokenizer)
    first = len(ids) if generated_from is None else generated_from
    return tuple(
        Token(piece, id, None, special=id in special, generated=index >= first)
        for index, (id, piece) in enumerate(zip(ids, pieces(tokenizer, ids)))
    )


def tokens_of_continuation(
    tokenizer: Any, ids: Sequence[int], start: int, stop: int, text: str | None
) -> tuple[tuple[Token, ...], str | None]:
    """Names the positions that were decoded, and writes them behind the text of the prompt.

    Args:
        tokenizer: names them; None names them by id.
        ids: ids of the whole sequence, also behind `stop`: the last position may end inside a character.
        start: the first position that was decoded.
        stop: the end of the positions wanted.
        text: the prompt's text, or None if only ids are known.

    Returns:
        Tokens for `ids[start:stop]`, with spans in the text where they say something, and the text.
    """
    special = special_ids(tokenizer)
    named = pieces(tokenizer, ids, start)
    if tokenizer is None or text is None:
        return tuple(
            Token(named[index - start], ids[index], special=ids[index] in special, generated=True)
            for index in range(start, stop)
        ), text
    tokens: list[Token] = []
    for first, end, fresh in _stretches(tokenizer, ids, start):
        if first >= stop:
            break
        span = None
        if fresh:
            text += fresh
            span = _trimmed(text, len(text) - len(fresh), len(text))
        for index in range(first, min(end, stop)):
            piece = text[slice(*span)] if span else named[index - start]
            tokens.append(Token(piece, ids[index], span, special=ids[index] in special, generated=True))
    return tuple(tokens), text


def pieces(tokenizer: Any, ids: Sequence[int], start: int = 0) -> list[str]:
    """Decodes `ids[start:]` one by one, each in the context of those before it.

    A token that ends inside a multi-byte character gets the whole character, as do the others that form it.
    Spaces around a piece are left out, line breaks are kept. Ids that decode to nothing are named by their
    vocabulary entry.
    """
    if tokenizer is None:
        return [str(id) for id in ids[start:]]
    return [
        (fresh.strip(" ") or fresh) if fresh else _vocabulary_piece(tokenizer, ids[index])
        for first, end, fresh in _stretches(tokenizer, ids, start)
        for index in range(first, end)
    ]


def _stretches(tokenizer: Any, ids: Sequence[int], start: int) -> Iterator[tuple[int, int, str | None]]:
    """Yields `(first, end, text)` for runs of ids that decode to whole characters; None for special tokens."""
    special = special_ids(tokenizer)
    begin = max(0, start - _CONTEXT)
    read = start
    for end in range(start + 1, len(ids) + 1):
        if ids[end - 1] in special:
            yield read, end, None
            begin, read = end, end
            continue
        before, after = _decode(tokenizer, ids[begin:read]), _decode(tokenizer, ids[begin:end])
        fresh = after[len(before) :] if after.startswith(before) else _decode(tokenizer, ids[read:end])
        if fresh.endswith(_BROKEN) and end < len(ids) and end - read < 4:
            continue
        yield read, end, fresh
        begin, read = read, end


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    if not ids:
        return ""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _vocabulary_piece(tokenizer: Any, id: int) -> str:
    piece = tokenizer.convert_ids_to_tokens(id)
    return str(id) if piece is None else str(piece)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without the spaces around it; None if empty. A token of spaces alone keeps them."""
    if end <= start:
        return None
    piece = text[start:end]
    if not piece.strip():
        return start, end
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _aligned(tokenizer: Any, text: str, ids: list[int], special: list[bool]) -> tuple[Token, ...]:
    """Without offsets: decodes piece by piece, and looks each piece up in the text where it is written so."""
    cursor = 0
    tokens = []
    for id, flag, piece in zip(ids, special, pieces(tokenizer, ids)):
        span = None
        if not flag and piece.strip():
            at = text.find(piece, cursor)
            if at >= 0 and not text[cursor:at].strip():
                span, cursor = (at, at + len(piece)), at + len(piece)
        tokens.append(Token(piece, id, span, special=flag))
    return tuple(tokens)


def tokens_around(
    tokenizer: Any, text: str, ids: Sequence[int], placeholders: Collection[int], marks: Collection[str]
) -> tuple[Token, ...]:
    """Names the positions of a text in which a processor put something in place of marks.

    Args:
        tokenizer: the tokenizer.
        text: the text as it was before.
        ids: the ids that came of it.
        placeholders: ids that stand for parts of pictures or sound.
        marks: what stands for a whole picture or clip in the text.

    Returns:
        One token per id, with the place in the text of whatever is written there as it is.
    """
    special = special_ids(tokenizer)
    cursor = 0
    tokens = []
    for id, piece in zip(ids, pieces(tokenizer, ids)):
        span, flag = None, id in special or id in placeholders
        if piece.strip() and id not in placeholders:
            at = text.find(piece, cursor)
            between = text[cursor:at] if at >= 0 else "?"
            for mark in marks:
                between = between.replace(mark, "")
            if at >= 0 and not between.strip():
                cursor = at + len(piece)
                span = None if flag else (at, cursor)
        tokens.append(Token(piece, id, span, special=flag))
    return tuple(tokens)
