"""Listening until stopped."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

import uvicorn

from attnflow.errors import OptionError
from attnflow.serve.app import Application, create_app
from attnflow.serve.settings import Settings, is_loopback


def run(settings: Settings, say: Callable[[str], None] = print) -> None:
    """Serves until interrupted.

    Args:
        settings: the operator's.
        say: prints one line.

    Raises:
        OptionError: the address cannot be listened on.
        InputError: the results folder cannot be made.
    """
    listener = _listener(settings.host, settings.port)
    with listener:
        app = create_app(settings)
        port = listener.getsockname()[1]
        listener.listen()  # who reads the address may connect at once
        for line in announcement(settings, port):
            say(line)
        sys.stdout.flush()
        config = uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=100,
            timeout_graceful_shutdown=3,
            server_header=False,
            proxy_headers=False,
        )
        _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that stops its jobs before it waits for open connections, which may wait for jobs."""

    def __init__(self, config: uvicorn.Config, app: Application) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._app.stop)
        await super().shutdown(sockets)


def announcement(settings: Settings, port: int) -> list[str]:
    """What the operator is told at the start."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    lines = [
        f"attnflow serves at http://{host}:{port} (API reference: /docs). Stop with Ctrl-C.",
        f"Models: {', '.join(settings.models)}.",
        f"Results are kept in {settings.results}."
        if settings.results is not None
        else "Results are kept until the server stops; --results DIR keeps them.",
    ]
    if not is_loopback(settings.host):
        lines.append(
            f"WARNING: {settings.host} is reachable from other machines. There is no login: whoever reaches this port "
            "can run these models and fill the results folder. Put a proxy with a login in front."
        )
    return lines


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OptionError(
            f"--host {host!r}: {error.strerror}; expected an address of this machine."
        ) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OptionError(
            f"Cannot listen on {host}:{port}: {error.strerror}; choose another --port, or --host."
        ) from error
    return listener
