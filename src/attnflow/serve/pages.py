"""The pages and the browser's files."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response

from attnflow.serve.api import Rooms
from attnflow.serve.reference import reference

#: The browser's files: their package, and their type.
_FILES = {
    "app.js": ("attnflow.serve", "text/javascript"),
    "app.css": ("attnflow.serve", "text/css"),
    "icon.svg": ("attnflow.serve", "image/svg+xml"),
    "attnflow.js": ("attnflow.view", "text/javascript"),
}


def pages(app: FastAPI, rooms: Rooms) -> APIRouter:
    """Returns the routes for people; none of them is part of the documented API."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home() -> Response:
        return _html(asset("app.html"))

    @router.get("/r/{name}")
    def permalink(name: str) -> Response:
        known = rooms.shelf.path(name) is not None
        return _html(asset("app.html"), 200 if known else 404)

    @router.get("/docs")
    def docs() -> Response:
        return _html(reference(app.openapi(), asset("reference.html")))

    @router.get("/assets/{name}")
    def file(name: str, request: Request) -> Response:
        if name not in _FILES:
            raise HTTPException(404, detail=f"There is no file {name!r} here.")
        kind = _FILES[name][1]
        content = asset(name)
        mark = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
        headers = {"etag": mark, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == mark:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return router


@cache
def asset(name: str) -> str:
    """A file of the browser's, by name."""
    package = _FILES[name][0] if name in _FILES else "attnflow.serve"
    return (resources.files(package) / "assets" / name).read_text(encoding="utf-8")


def _html(content: str, status: int = 200) -> Response:
    return Response(content, status_code=status, media_type="text/html")
