"""What a study measured, one record an example, kept so that a stopped run goes on where it was.

A file of records is JSON Lines. Its first line states the settings that all figures depend on; a run with others is
refused, so that no table mixes two studies. Records lie in `build/studies/`, which git does not keep: tables do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Where records lie.
FOLDER = Path(__file__).parent.parent / "build" / "studies"

Record = dict[str, Any]


class SettingsError(Exception):
    """The records on disk are those of other settings."""


def collect(
    study: str,
    name: str,
    settings: Mapping[str, Any],
    keys: Iterable[str],
    measure: Callable[[str], Record],
    *,
    fresh: bool = False,
    folder: Path | None = None,
) -> list[Record]:
    """Measures what is not measured yet and returns one record per key, in the order of the keys.

    Every record is on disk before the next is begun.

    Args:
        study: the study's name, a folder.
        name: of the file, such as the model's.
        settings: all that the figures depend on besides the example: seed, methods, versions of weights.
        keys: of the examples, unique.
        measure: from key to record; what it returns must be JSON.
        fresh: forget what is on disk.
        folder: in place of FOLDER.

    Returns:
        The records, each with its `key`.

    Raises:
        SettingsError: the file holds records of other settings.
    """
    path = (folder or FOLDER) / study / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if fresh:
        path.unlink(missing_ok=True)
    header = json.loads(json.dumps(dict(settings), sort_keys=True))
    known = _read(path, header)
    wanted = list(keys)
    if len(set(wanted)) != len(wanted):
        raise ValueError("Keys are not unique.")
    missing = [key for key in wanted if key not in known]
    with path.open("a", encoding="utf-8") as file, _bar() as bar:
        if not known and path.stat().st_size == 0:
            file.write(json.dumps({"settings": header}) + "\n")
        task = bar.add_task(f"{study}: {name}", total=len(wanted), completed=len(wanted) - len(missing))
        for key in missing:
            known[key] = json.loads(json.dumps({"key": key, **measure(key)}))
            file.write(json.dumps(known[key]) + "\n")
            file.flush()
            os.fsync(file.fileno())
            bar.advance(task)
    return [known[key] for key in wanted]


def _read(path: Path, settings: Record) -> dict[str, Record]:
    """Records on disk by key; a last line that was cut off is taken away."""
    if not path.exists():
        return {}
    whole = path.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if len(kept) < len(whole):
        with path.open("r+b") as file:
            file.truncate(len(kept))
    lines = kept.decode("utf-8").splitlines()
    if not lines:
        return {}
    found = json.loads(lines[0])["settings"]
    if found != settings:
        differing = sorted(key for key in found | settings if found.get(key) != settings.get(key))
        raise SettingsError(
            f"{path} holds records of other settings ({', '.join(differing)}): run with --fresh to measure anew."
        )
    return {record["key"]: record for record in map(json.loads, lines[1:])}


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
