"""Saved results: one file each, in the save format, under names that cannot be guessed."""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from attnflow.attribution import Attribution
from attnflow.comparison import FORMAT as COMPARISON
from attnflow.comparison import Comparison
from attnflow.errors import FormatError, InputError
from attnflow.storage import FORMAT as ATTRIBUTION
from attnflow.storage import read_json

Result = Attribution | Comparison

_NAME = re.compile(r"[A-Za-z0-9_-]{22}")
#: Results held in memory, besides their files.
_HELD = 8


class Shelf:
    """A folder of results.

    Args:
        folder: where the files are; made if it does not exist.
        limit: the most results it takes.

    Raises:
        InputError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self._limit = folder, limit
        self._held: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"Cannot keep results in {str(folder)!r}: {error.strerror}.") from error

    def put(self, result: Result, *, network: bool = True) -> str:
        """Saves a result and returns its name.

        Args:
            result: what to save.
            network: with its networks, so that its flow can be drawn.

        Raises:
            InputError: the shelf is full, or cannot be written to.
        """
        count = sum(1 for _ in self.folder.glob("*.json"))
        if count >= self._limit:
            raise InputError(
                f"{count} results are saved, the most this server keeps: its operator can delete some."
            )
        name = secrets.token_urlsafe(16)
        result.save(self._file(name), network=network)
        self._hold(name, result)
        return name

    def path(self, name: str) -> Path | None:
        """The file of a result, or None if there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        file = self._file(name)
        return file if file.is_file() else None

    def get(self, name: str) -> Result | None:
        """Reads a result, or returns None if there is none of that name.

        Raises:
            FormatError: its file is damaged.
        """
        file = self.path(name)
        if file is None:
            return None
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
                return held
        result = read(file)
        self._hold(name, result)
        return result

    def delete(self, name: str) -> bool:
        """Deletes a result; says whether there was one."""
        file = self.path(name)
        if file is None:
            return False
        with self._lock:
            self._held.pop(name, None)
        file.unlink(missing_ok=True)
        return True

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _hold(self, name: str, result: Result) -> None:
        with self._lock:
            self._held[name] = result
            self._held.move_to_end(name)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)


def read(path: Path) -> Result:
    """Reads a saved result or comparison, whichever it is.

    Raises:
        FormatError: neither.
    """
    data = read_json(path)
    kinds: dict[object, Callable[[Path], Result]] = {
        ATTRIBUTION: Attribution.load,
        COMPARISON: Comparison.load,
    }
    kind = data.get("format") if isinstance(data, dict) else None
    if kind not in kinds:
        raise FormatError(f"{path.name!r} holds no saved result: expected a file that attnflow wrote.")
    return kinds[kind](path)
