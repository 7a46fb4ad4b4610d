"""What the operator of a server chose, and what its visitors may ask for at most."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attnflow.errors import OptionError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Limits:
    """The most that one request may ask for, and that the server holds.

    Attributes:
        characters: of a text, or of all messages of a chat.
        tokens: of the input, generated tokens included.
        generate: tokens to generate.
        upload: bytes of an uploaded file.
        pixels: of an uploaded image, before the model scales it.
        results: methods times capacities of one comparison.
        steps: points that gradients are averaged over.
        samples: sampled orders.
        seconds: of one job.
        queue: jobs that wait.
        jobs: finished jobs that are remembered.
        kept: saved results.
    """

    characters: int = 20_000
    tokens: int = 512
    generate: int = 64
    upload: int = 10_000_000
    pixels: int = 40_000_000
    results: int = 10
    steps: int = 64
    samples: int = 20_000
    seconds: float = 600.0
    queue: int = 16
    jobs: int = 200
    kept: int = 10_000

    @property
    def body(self) -> int:
        """Bytes of a request's body."""
        return max(self.upload, 4 * self.characters) + 65_536


@dataclass(frozen=True)
class Settings:
    """A server's settings.

    Attributes:
        models: what visitors may name, each a bundled name, a directory or a hub id.
        results: folder of saved results; None keeps them until the server stops.
        host: address to listen on.
        port: port to listen on.
        hosts: names besides `localhost` and addresses that a request may call this server by.
        workers: jobs at a time.
        loaded: models held in memory.
        threads: solver threads of one job; None shares the cores among the workers.
        limits: what a request may ask for.

    Raises:
        OptionError: settings that no server can have.
    """

    models: Mapping[str, str]
    results: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    hosts: tuple[str, ...] = ()
    workers: int = 2
    loaded: int = 2
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise OptionError(
                "No model to serve: install one with `pip install 'attnflow[demo]'`, or name one with --model."
            )
        for name in self.models:
            if not _NAME.fullmatch(name):
                raise OptionError(
                    f"Model name {name!r}: expected up to 64 letters, digits, dots, dashes or underscores."
                )
        for what in ("workers", "loaded"):
            if getattr(self, what) < 1:
                raise OptionError(f"{what}={getattr(self, what)}: expected at least 1.")

    @property
    def solver_threads(self) -> int:
        """Threads for one job."""
        if self.threads is not None:
            return self.threads
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.workers)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def named_models(items: Iterable[str]) -> dict[str, str]:
    """Reads `NAME=PATH_OR_ID` items.

    Raises:
        OptionError: an item of another form, a name given twice, or a directory that does not exist.
    """
    found: dict[str, str] = {}
    for item in items:
        name, equals, place = item.partition("=")
        if not equals or not name or not place:
            raise OptionError(f"--model {item!r}: expected NAME=PATH_OR_ID, such as mine=./my-model.")
        if name in found:
            raise OptionError(f"--model {name!r} is given twice; every model needs a name of its own.")
        path = Path(place).expanduser()
        if place.startswith((".", "/", "~")) and not path.is_dir():
            raise OptionError(
                f"--model {name}: {place!r} is no directory; expected what save_pretrained wrote."
            )
        found[name] = str(path.resolve()) if path.is_dir() else place
    return found
