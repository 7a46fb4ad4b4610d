"""The models that a server can explain: loaded when first asked for, the least recently used dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from attnflow.errors import unknown_name

Check = Callable[[], None]
Load = Callable[[str], tuple[Any, Any]]

#: What a model calls before every forward pass on this thread, so that generation too can be stopped.
_CHECK: ContextVar[Check | None] = ContextVar("attnflow_serve_check", default=None)


@dataclass
class Entry:
    """One model by name.

    Attributes:
        name: what visitors call it.
        place: what `load_model` reads.
        lock: held by whoever loads or runs it.
        loaded: `(model, tokenizer)`, or None while it is not in memory.
        used: when it was last opened, as a count.
    """

    name: str
    place: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: tuple[Any, Any] | None = None
    used: int = 0


class Hold:
    """The right to run a model, given back by `release` or at the end of `Catalogue.open`.

    Attributes:
        model: the transformers model.
        tokenizer: what turns text into its inputs; None if it has none.
    """

    def __init__(self, entry: Entry, loaded: tuple[Any, Any]) -> None:
        self.model, self.tokenizer = loaded
        self._entry: Entry | None = entry

    def release(self) -> None:
        """Lets the next job run the model; a second call does nothing."""
        if self._entry is not None:
            entry, self._entry = self._entry, None
            entry.lock.release()


class Catalogue:
    """Models by name, at most `keep` of them in memory besides those in use.

    Args:
        models: bundled name, directory or hub id by name.
        keep: how many stay loaded.
        load: reads a model; called by one thread at a time.
    """

    def __init__(self, models: Mapping[str, str], keep: int, load: Load | None = None) -> None:
        self._entries = {name: Entry(name, place) for name, place in models.items()}
        self._keep = keep
        self._load = load or _load
        self._loading = threading.Lock()
        self._clock = 0

    def names(self) -> list[str]:
        """Names in the operator's order."""
        return list(self._entries)

    def place(self, name: str) -> str:
        """Where a model is read from.

        Raises:
            OptionError: no such model here.
        """
        return self._find(name).place

    def is_loaded(self, name: str) -> bool:
        """Whether a model is in memory."""
        return self._find(name).loaded is not None

    @contextmanager
    def open(self, name: str, check: Check) -> Iterator[Hold]:
        """Waits for a model, loads it if need be, and holds it.

        Args:
            name: of the model.
            check: called again and again while waiting and before every forward pass; raises to give up.

        Raises:
            OptionError: no such model here.
            AttnflowError: it cannot be loaded.
        """
        entry = self._find(name)
        _acquire(entry.lock, check)
        hold: Hold | None = None
        token = _CHECK.set(check)
        try:
            hold = Hold(entry, self._loaded(entry, check))
            yield hold
        finally:
            _CHECK.reset(token)
            if hold is None:
                entry.lock.release()
            else:
                hold.release()

    def _loaded(self, entry: Entry, check: Check) -> tuple[Any, Any]:
        _acquire(self._loading, check)
        try:
            self._clock += 1
            entry.used = self._clock
            if entry.loaded is None:
                self._drop(self._keep - 1)
                model, tokenizer = self._load(entry.place)
                model.register_forward_pre_hook(_before_forward)
                entry.loaded = (model, tokenizer)
            return entry.loaded
        finally:
            self._loading.release()

    def _drop(self, keep: int) -> None:
        """Forgets the least recently used models until `keep` are left; those in use stay."""
        held = sorted((e for e in self._entries.values() if e.loaded is not None), key=lambda e: e.used)
        for entry in held[: max(0, len(held) - keep)]:
            if entry.lock.acquire(blocking=False):
                entry.loaded = None
                entry.lock.release()

    def _find(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown_name("model", name, self._entries)
        return self._entries[name]


def _acquire(lock: threading.Lock, check: Check) -> None:
    check()
    while not lock.acquire(timeout=0.1):
        check()


def _before_forward(*_: Any) -> None:
    check = _CHECK.get()
    if check is not None:
        check()


def _load(place: str) -> tuple[Any, Any]:
    from attnflow.capture import load_model

    return load_model(place)
