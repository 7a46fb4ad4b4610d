"""What a reader sees at each position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attnflow.trace import Token

_BROKEN = "\ufffd"  # what an incomplete multi-byte character decodes to
_CONTEXT = 6  # tokens decoded before the wanted ones, so that spaces between them come out right


def special_ids(tokenizer: Any) -> set[int]:
    """Ids that a tokenizer or template adds; masks and unknown words stand for text and are left out."""
    if tokenizer is None:
        return set()
    own = {getattr(tokenizer, "unk_token_id", None), getattr(tokenizer, "mask_token_id", None)}
    return set(tokenizer.all_special_ids) - own


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


def pieces(tokenizer: Any, ids: Sequence[int], start: int = 0) -> list[str]:
    """Decodes `ids[start:]` one by one, each in the context of those before it.

    A token that ends inside a multi-byte character gets the whole character, as do the others that form it.
    Ids that decode to nothing are named by their vocabulary entry.
    """
    if tokenizer is None:
        return [str(id) for id in ids[start:]]
    special = special_ids(tokenizer)
    found: dict[int, str] = {}
    begin = max(0, start - _CONTEXT)
    read = start
    for end in range(start + 1, len(ids) + 1):
        if ids[end - 1] in special:
            found.update({index: _vocabulary_piece(tokenizer, ids[index]) for index in range(read, end)})
            begin, read = end, end
            continue
        before, after = _decode(tokenizer, ids[begin:read]), _decode(tokenizer, ids[begin:end])
        fresh = after[len(before) :] if after.startswith(before) else _decode(tokenizer, ids[read:end])
        if fresh.endswith(_BROKEN) and end < len(ids) and end - read < 4:
            continue
        for index in range(read, end):
            found[index] = (fresh.strip() or fresh) if fresh else _vocabulary_piece(tokenizer, ids[index])
        begin, read = read, end
    return [found[index] for index in range(start, len(ids))]


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
