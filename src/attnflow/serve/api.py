"""The API's routes: models, jobs and saved results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, File, Form, HTTPException, Path, Query, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError

from attnflow import __version__, methods
from attnflow import capacity as schemes
from attnflow.defaults import CAPACITIES, METHOD
from attnflow.serve import schema
from attnflow.serve.catalogue import Catalogue
from attnflow.serve.documents import figure_of, page_of, view_of
from attnflow.serve.inspection import model_view
from attnflow.serve.jobs import FINAL, Jobs, Snapshot, Work
from attnflow.serve.picture import picture
from attnflow.serve.settings import Settings
from attnflow.serve.shelf import Result, Shelf
from attnflow.serve.work import check_options, check_size, check_text, picture_work, text_work

T = TypeVar("T")

#: Seconds between two looks at a job that is being watched.
_LOOK = 0.1

JobName = Annotated[str, Path(max_length=64, description="A job's id.")]
ResultName = Annotated[str, Path(max_length=64, description="A saved result's id.")]


@dataclass(frozen=True)
class Rooms:
    """What the routes work with.

    Attributes:
        settings: the operator's.
        catalogue: models.
        jobs: the queue.
        shelf: saved results.
        kept: whether saved results outlive the server.
    """

    settings: Settings
    catalogue: Catalogue
    jobs: Jobs
    shelf: Shelf
    kept: bool


def _said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documents the refusals of a route."""
    meaning = {
        404: "There is none of that name.",
        413: "The request is larger than the server takes.",
        422: "The request cannot be met as it is; the sentence says why.",
        500: "The server failed.",
        503: "Too many jobs are waiting.",
    }
    return {status: {"model": schema.Refusal, "description": meaning[status]} for status in statuses}


def api(rooms: Rooms) -> APIRouter:
    """Returns the routes under `/api`."""
    router = APIRouter(prefix="/api")
    settings, limits = rooms.settings, rooms.settings.limits

    def submitted(work: Work, wait: float, response: Response) -> schema.JobView:
        shot = rooms.jobs.submit(work)
        if wait:
            shot = rooms.jobs.wait(shot.id, wait) or shot
        if shot.failure is not None:
            raise HTTPException(shot.failure.status, detail=vars(shot.failure))
        response.status_code = 200 if shot.state in FINAL else 202
        response.headers["location"] = f"/api/jobs/{shot.id}"
        return job_view(rooms, shot)

    @router.get("/models", tags=["models"], summary="What can be explained, and how")
    def models() -> schema.ModelsView:
        """Models, methods and capacities by name, and the most that one request may ask for."""
        return schema.ModelsView(
            models=[model_view(rooms.catalogue, name) for name in rooms.catalogue.names()],
            methods=list(methods.METHODS),
            capacities=list(schemes.SCHEMES),
            gradient=[name for name, scheme in schemes.SCHEMES.items() if scheme.gradient],
            defaults={"method": METHOD, "capacity": CAPACITIES[0]},
            limits=schema.LimitsView(
                **{name: getattr(limits, name) for name in schema.LimitsView.model_fields}
            ),
            kept=rooms.kept,
            version=__version__,
        )

    @router.post(
        "/explain",
        tags=["jobs"],
        summary="Explain a text or a chat",
        status_code=202,
        responses={
            200: {"model": schema.JobView, "description": "The job is over."},
            **_said(413, 422, 500, 503),
        },
    )
    def explain(
        request: schema.ExplainRequest,
        response: Response,
        wait: Annotated[
            float, Query(ge=0, le=60, description="Seconds to wait for the job to be over.")
        ] = 0.0,
    ) -> schema.JobView:
        """Starts a job; watch it at `/api/jobs/{id}` or its `/events`, or `wait` for it here.

        A job that fails while it is waited for answers with its error's status.
        """
        check_options(request, limits)
        check_text(request, limits)
        rooms.catalogue.place(request.model)
        work = text_work(request, rooms.catalogue, rooms.shelf, settings.solver_threads, limits)
        return submitted(work, wait, response)

    @router.post(
        "/explain/file",
        tags=["jobs"],
        summary="Explain a picture",
        status_code=202,
        responses={
            200: {"model": schema.JobView, "description": "The job is over."},
            **_said(413, 422, 500, 503),
        },
    )
    def explain_file(
        file: Annotated[UploadFile, File(description="A PNG, JPEG, WebP, GIF or BMP file.")],
        options: Annotated[str, Form(description="`PictureOptions` as JSON.")],
        response: Response,
        wait: Annotated[
            float, Query(ge=0, le=60, description="Seconds to wait for the job to be over.")
        ] = 0.0,
    ) -> schema.JobView:
        """Starts a job as `POST /api/explain` does, on a form of the file and, as JSON, the options."""
        try:
            request = schema.PictureOptions.model_validate_json(options)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
        check_options(request, limits)
        check_size([request.text or "", request.target_text or ""], limits)
        rooms.catalogue.place(request.model)
        data = file.file.read(limits.upload + 1)
        if len(data) > limits.upload:
            raise HTTPException(413)
        image = picture(data, limits.pixels)
        work = picture_work(request, image, rooms.catalogue, rooms.shelf, settings.solver_threads, limits)
        return submitted(work, wait, response)

    @router.get("/jobs/{id}", tags=["jobs"], summary="A job as it stands", responses=_said(404))
    def job(id: JobName) -> schema.JobView:
        """Its state, what it is doing, and when it is done, its result."""
        return job_view(rooms, _found(rooms.jobs.get(id), "job", id))

    def known(id: JobName) -> None:
        """Refuses before the stream begins, as there is no other status after."""
        _found(rooms.jobs.get(id), "job", id)

    @router.get(
        "/jobs/{id}/events",
        tags=["jobs"],
        summary="Watch a job",
        response_class=EventSourceResponse,
        responses=_said(404),
        dependencies=[Depends(known)],
    )
    async def events(id: JobName) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: a `job` event with the job as it stands at every change, until it is over."""
        last: Snapshot | None = None
        while (shot := rooms.jobs.get(id)) is not None:
            if last is None or _differs(shot, last):
                yield ServerSentEvent(data=job_view(rooms, shot), event="job")
                last = shot
            if shot.state in FINAL:
                return
            await asyncio.sleep(_LOOK)

    @router.delete("/jobs/{id}", tags=["jobs"], summary="Cancel a job", responses=_said(404))
    def cancel(id: JobName) -> schema.JobView:
        """Stops it: at once if it waits, at its next step if it runs. A job that is over stays as it is."""
        return job_view(rooms, _found(rooms.jobs.cancel(id), "job", id))

    @router.get("/results/{id}", tags=["results"], summary="A saved result", responses=_said(404))
    def result(id: ResultName) -> schema.ResultView:
        """Where it can be had."""
        _found(rooms.shelf.path(id), "result", id)
        return result_view(rooms, id)

    @router.delete(
        "/results/{id}",
        tags=["results"],
        summary="Delete a saved result",
        status_code=204,
        responses=_said(404),
    )
    def delete(id: ResultName) -> None:
        """Its permalink leads nowhere from then on."""
        if not rooms.shelf.delete(id):
            raise _missing("result", id)

    @router.get("/results/{id}/view", tags=["results"], summary="What the page draws", responses=_said(404))
    def view(id: ResultName) -> Response:
        """The payload of the browser bundle, as JSON."""
        return Response(view_of(saved(id)), media_type="application/json")

    @router.get(
        "/results/{id}/json",
        tags=["results"],
        summary="Download the save format",
        response_class=FileResponse,
        responses=_said(404),
    )
    def save_format(id: ResultName) -> FileResponse:
        """Every number exact, networks included; `Attribution.load` or `Comparison.load` reads it."""
        path = _found(rooms.shelf.path(id), "result", id)
        return FileResponse(path, media_type="application/json", filename=f"attnflow-{id[:8]}.json")

    @router.get("/results/{id}/html", tags=["results"], summary="Download a page", responses=_said(404))
    def html(id: ResultName) -> Response:
        """One self-contained page that opens from disk."""
        return _download(page_of(saved(id)), "text/html", f"attnflow-{id[:8]}.html")

    @router.get(
        "/results/{id}/svg",
        tags=["results"],
        summary="Download a figure",
        response_class=Response,
        responses={200: {"content": {"image/svg+xml": {}}}, **_said(404, 422)},
    )
    def svg(
        id: ResultName,
        kind: Annotated[
            str | None, Query(description="`tokens`, `flow`, `matrix` or `bounds`; null for what suits it.")
        ] = None,
        target: Annotated[int | None, Query(description="Position of the target to draw.")] = None,
    ) -> Response:
        """A vector figure for papers, as `Attribution.plot` draws it."""
        return _download(figure_of(saved(id), kind, target), "image/svg+xml", f"attnflow-{id[:8]}.svg")

    def saved(id: str) -> Result:
        found: Result | None = rooms.shelf.get(id)
        if found is None:
            raise _missing("result", id)
        return found

    return router


def job_view(rooms: Rooms, shot: Snapshot) -> schema.JobView:
    """A job as the API shows it."""
    return schema.JobView(
        id=shot.id,
        state=shot.state,
        stage=shot.stage,
        done=shot.done,
        total=shot.total,
        ahead=shot.ahead,
        seconds=round(shot.seconds, 2),
        result=None if shot.result is None else result_view(rooms, shot.result),
        error=None if shot.failure is None else schema.Problem(**vars(shot.failure)),
    )


def result_view(rooms: Rooms, name: str) -> schema.ResultView:
    """A saved result as the API shows it."""
    base = f"/api/results/{name}"
    links = schema.Links(
        page=f"/r/{name}",
        view=f"{base}/view",
        json=f"{base}/json",
        html=f"{base}/html",
        svg=f"{base}/svg",
    )
    return schema.ResultView(id=name, kept=rooms.kept, links=links)


def _found(value: T | None, what: str, name: str) -> T:
    if value is None:
        raise _missing(what, name)
    return value


def _missing(what: str, name: str) -> HTTPException:
    return HTTPException(404, detail=f"There is no {what} {name!r} here (any more).")


def _differs(one: Snapshot, two: Snapshot) -> bool:
    names = ("state", "stage", "done", "total", "ahead")
    return any(getattr(one, name) != getattr(two, name) for name in names)


def _download(content: str, kind: str, filename: str) -> Response:
    return Response(
        content,
        media_type=kind,
        headers={"content-disposition": f'attachment; filename="{filename}"'},
    )
