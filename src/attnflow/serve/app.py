"""The application: rooms, routes, pages, guard, and errors in one form."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from attnflow import __version__
from attnflow.errors import AttnflowError
from attnflow.serve.api import Rooms, api
from attnflow.serve.catalogue import Catalogue, Load
from attnflow.serve.guard import Guard, refusal
from attnflow.serve.jobs import Jobs, QueueFullError
from attnflow.serve.pages import pages
from attnflow.serve.settings import Settings
from attnflow.serve.shelf import Shelf

DESCRIPTION = (
    "Which inputs a Transformer's prediction draws on, by exact maximum flow. A request becomes a job; a job that is "
    "done leaves a saved result with a permalink. Every refusal is one sentence under `error.message`."
)


class Application(Guard):
    """The guarded application, and its jobs.

    Args:
        app: what answers.
        rooms: what it works with.
    """

    def __init__(self, app: FastAPI, rooms: Rooms) -> None:
        super().__init__(app, rooms.settings.hosts)
        self._rooms = rooms

    def stop(self) -> None:
        """Cancels every job, so that whoever waits for one is answered; no more are taken."""
        self._rooms.jobs.close()


def create_app(settings: Settings, load: Load | None = None) -> Application:
    """Builds the application.

    Args:
        settings: the operator's.
        load: reads a model by its place; None for `attnflow.capture.load_model`.

    Returns:
        An ASGI application; its workers stop when its lifespan ends.

    Raises:
        InputError: the results folder cannot be made.
    """
    temporary = None
    if settings.results is None:
        temporary = tempfile.TemporaryDirectory(prefix="attnflow-results-", ignore_cleanup_errors=True)
    folder = Path(temporary.name) if temporary is not None else settings.results
    assert folder is not None
    limits = settings.limits
    rooms = Rooms(
        settings,
        Catalogue(settings.models, settings.loaded, load),
        Jobs(settings.workers, limits.queue, limits.seconds, limits.jobs),
        Shelf(folder, limits.kept),
        kept=temporary is None,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            rooms.jobs.close()
            if temporary is not None:
                temporary.cleanup()

    app = FastAPI(
        title="attnflow",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load scripts from other hosts; /docs is ours
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
        max_body_size=limits.body,
        form_limits={"max_files": 1, "max_fields": 4, "max_part_size": 65_536},
    )
    app.include_router(api(rooms))
    app.include_router(pages(app, rooms))
    app.add_exception_handler(AttnflowError, _refused)
    app.add_exception_handler(QueueFullError, _full)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    return Application(
        app, rooms
    )  # the guard stands around everything, also what answers when all else fails


def _refused(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(refusal(type(error).__name__, str(error), 422), status_code=422)


def _full(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(refusal("QueueFull", str(error), 503), status_code=503, headers={"retry-after": "10"})


def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return JSONResponse(refusal("RequestError", sentence(error.errors()), 422), status_code=422)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail: Any = error.detail
    if isinstance(detail, dict):
        return JSONResponse({"error": detail}, status_code=error.status_code)
    name = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "RequestError")
    message = str(detail)
    if not message.endswith("."):  # starlette's own are no sentences
        message = f"{message} for {request.method} {request.url.path[:100]!r}; /docs lists what there is."
    return JSONResponse(
        refusal(name, message, error.status_code), status_code=error.status_code, headers=error.headers
    )


def sentence(errors: Sequence[Any]) -> str:
    """One sentence for what validation found: the first finding, and how many more there are."""
    first = errors[0]
    place = next((str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")), "")
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    where = f"{place}: " if place else ""
    found = first.get("input")
    given = (
        f", found {_short(found)}"
        if isinstance(found, (str, int, float)) and first["type"] != "missing"
        else ""
    )
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}{message[:1].lower()}{message[1:]}{given}{more}."


def _short(value: str | int | float) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
