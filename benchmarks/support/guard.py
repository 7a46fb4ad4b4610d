"""One process per model type, with limits: a crash, a loop or an appetite for memory costs one row."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MEMORY = 10 << 30


@dataclass
class _Child:
    item: Any
    pid: int
    pipe: int
    started: float
    data: bytes = b""


def each(
    items: Sequence[Any], work: Callable[[Any], dict[str, Any]], jobs: int, seconds: float
) -> Iterator[tuple[Any, dict[str, Any] | str]]:
    """Runs `work` on every item in a forked process of its own.

    Yields:
        As they end: the item with its result, or with one sentence about why there is none.
    """
    waiting = list(items)
    running: dict[int, _Child] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            child = _fork(waiting.pop(0), work)
            running[child.pipe] = child
        ready, _, _ = select.select(list(running), [], [], 1.0)
        for pipe in ready:
            part = os.read(pipe, 1 << 16)
            if part:
                running[pipe].data += part
                continue
            child = running.pop(pipe)
            os.close(pipe)
            _, code = os.waitpid(child.pid, 0)
            try:
                yield child.item, json.loads(child.data)
            except json.JSONDecodeError:
                yield child.item, f"the process ended with {os.waitstatus_to_exitcode(code)}"
        for pipe, child in list(running.items()):
            if time.monotonic() - child.started > seconds:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                os.close(pipe)
                del running[pipe]
                yield child.item, f"took longer than {seconds:.0f} s"


def _fork(item: Any, work: Callable[[Any], dict[str, Any]]) -> _Child:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(item, pid, reading, time.monotonic())
    code = 1
    try:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        started = time.monotonic()
        result = work(item)
        result["seconds"] = round(time.monotonic() - started, 1)
        data = json.dumps(result).encode()
        while data:
            data = data[os.write(writing, data) :]
        code = 0
    finally:
        os._exit(code)
