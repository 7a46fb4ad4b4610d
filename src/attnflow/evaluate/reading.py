"""Texts of a file: one a line, CSV, or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attnflow.errors import InputError
from attnflow.evaluate.faithfulness import Example


def read(path: Path, limit: int | None = None) -> list[Example]:
    """Reads examples.

    Args:
        path: `.csv` with a column `text`, `.jsonl` with a key `text`, both with `label` if wanted: the class or token
            asked about. Any other file holds one text a line; empty lines are left out.
        limit: at most so many.

    Raises:
        InputError: no UTF-8, no such column, a line that is no JSON, or no text at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read texts from {str(path)!r}: {error}.") from error
    readers = {".csv": _of_csv, ".jsonl": _of_json}
    found = readers.get(path.suffix.lower(), _of_lines)(path, text)
    if not found:
        raise InputError(f"{str(path)!r} holds no text: expected at least one.")
    return found if limit is None else found[:limit]


def _of_lines(path: Path, text: str) -> list[Example]:
    return [Example(line.strip()) for line in text.splitlines() if line.strip()]


def _of_csv(path: Path, text: str) -> list[Example]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    if "text" not in (reader.fieldnames or ()):
        heads = ", ".join(reader.fieldnames or ()) or "none"
        raise InputError(f"{str(path)!r} has no column 'text'; its columns: {heads}.")
    return list(_examples(path, reader, first=2))


def _of_json(path: Path, text: str) -> list[Example]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{str(path)!r}, line {number}, is no JSON: {error}.") from error
        rows.append(row if isinstance(row, dict) else {"text": row})
    return list(_examples(path, rows, first=1))


def _examples(path: Path, rows: Iterable[Mapping[str, Any]], first: int) -> Iterable[Example]:
    for number, row in enumerate(rows, start=first):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{str(path)!r}, row {number}: expected a text under 'text', found {text!r}.")
        if isinstance(label, str):
            label = int(label) if label.strip().isdecimal() else label or None
        if label is not None and (isinstance(label, bool) or not isinstance(label, (int, str))):
            raise InputError(
                f"{str(path)!r}, row {number}: expected a class or token as 'label', found {label!r}."
            )
        yield Example(text, label)
