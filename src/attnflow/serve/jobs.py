"""Jobs: a bounded queue, worker threads, progress that can be watched, and cancellation that really stops.

A job's work reports its progress again and again; where it has been cancelled, or has run too long, the
report raises, and the work unwinds from wherever it is.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from attnflow.errors import AttnflowError

_LOG = logging.getLogger("attnflow.serve")

Report = Callable[[str, int, int | None], None]
#: Does a job's work, given what reports progress, and returns the name of a saved result.
Work = Callable[[Report], str]


class State(StrEnum):
    """Where a job stands."""

    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


#: States that last.
FINAL = frozenset({State.done, State.failed, State.cancelled})


class CancelledError(Exception):
    """Raised inside a job's work that is no longer wanted."""


class OvertimeError(Exception):
    """Raised inside a job's work that has run too long."""


class QueueFullError(Exception):
    """No room for another job."""


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Attributes:
        kind: name of the error's class.
        message: one sentence.
        status: HTTP status that says the same.
    """

    kind: str
    message: str
    status: int


@dataclass(frozen=True)
class Snapshot:
    """A job at one moment.

    Attributes:
        id: its name.
        state: where it stands.
        stage: what it is doing.
        done: how much of the stage is done.
        total: how much there is; None while unknown.
        ahead: jobs before it in the queue.
        result: name of the saved result.
        failure: why it failed.
        created: seconds since the epoch.
        seconds: how long it has run.
    """

    id: str
    state: State
    stage: str
    done: int
    total: int | None
    ahead: int
    result: str | None
    failure: Failure | None
    created: float
    seconds: float


@dataclass
class _Job:
    shot: Snapshot
    work: Work
    started: float | None = None
    unwanted: bool = False


class Jobs:
    """The queue and its workers.

    Args:
        workers: jobs at a time.
        queue: jobs that may wait.
        seconds: the longest that a job may run.
        remember: finished jobs that can still be asked about.
    """

    def __init__(self, workers: int, queue: int, seconds: float, remember: int) -> None:
        self._queue, self._seconds, self._remember = queue, seconds, remember
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._waiting: deque[_Job] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"attnflow-worker-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> Snapshot:
        """Puts work in the queue.

        Raises:
            QueueFullError: too many jobs wait already.
        """
        with self._change:
            if self._closed:
                raise QueueFullError("The server is stopping and takes no more jobs.")
            if len(self._waiting) >= self._queue:
                raise QueueFullError(
                    f"{len(self._waiting)} jobs are waiting already, the most this server queues: try again soon."
                )
            shot = Snapshot(
                id=secrets.token_urlsafe(12),
                state=State.queued,
                stage="waiting for a worker",
                done=0,
                total=None,
                ahead=0,
                result=None,
                failure=None,
                created=time.time(),
                seconds=0.0,
            )
            job = _Job(shot, work)
            self._jobs[shot.id] = job
            self._waiting.append(job)
            self._forget()
            self._change.notify_all()
            return self._seen(job)

    def get(self, name: str) -> Snapshot | None:
        """Returns a job as it stands, or None if it is not known (any more)."""
        with self._change:
            job = self._jobs.get(name)
            return None if job is None else self._seen(job)

    def cancel(self, name: str) -> Snapshot | None:
        """Stops a job: at once if it waits, at its next step if it runs; a finished one stays as it is."""
        with self._change:
            job = self._jobs.get(name)
            if job is None:
                return None
            self._cancel(job)
            self._change.notify_all()
            return self._seen(job)

    def wait(self, name: str, seconds: float) -> Snapshot | None:
        """Waits until a job is over, at most so long, and returns it as it stands."""
        with self._change:
            job = self._jobs.get(name)
            if job is None:
                return None
            self._change.wait_for(lambda: job.shot.state in FINAL, timeout=seconds)
            return self._seen(job)

    def close(self, seconds: float = 5.0) -> None:
        """Cancels everything and waits for the workers, at most so long."""
        with self._change:
            self._closed = True
            for job in self._jobs.values():
                self._cancel(job)
            self._change.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    # -- inside ----------------------------------------------------------------------------------------

    def _seen(self, job: _Job) -> Snapshot:
        shot = job.shot
        if shot.state is State.queued:
            return replace(shot, ahead=self._waiting.index(job))
        if shot.state is State.running and job.started is not None:
            return replace(shot, seconds=time.monotonic() - job.started)
        return shot

    def _cancel(self, job: _Job) -> None:
        if job.shot.state is State.queued:
            self._waiting.remove(job)
            job.shot = replace(job.shot, state=State.cancelled, stage="cancelled")
        elif job.shot.state is State.running:
            job.unwanted = True
            job.shot = replace(job.shot, stage="stopping")

    def _forget(self) -> None:
        over = [name for name, job in self._jobs.items() if job.shot.state in FINAL]
        for name in over[: max(0, len(over) - self._remember)]:
            del self._jobs[name]

    def _serve(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                job = self._waiting.popleft()
                job.started = time.monotonic()
                job.shot = replace(job.shot, state=State.running, stage="starting")
                self._change.notify_all()
            end = self._run(job)
            with self._change:
                seconds = time.monotonic() - job.started
                job.shot = replace(end, seconds=seconds)
                job.work = _nothing
                self._change.notify_all()

    def _run(self, job: _Job) -> Snapshot:
        started = job.started or time.monotonic()

        def report(stage: str, done: int, total: int | None) -> None:
            if job.unwanted:
                raise CancelledError
            if time.monotonic() - started > self._seconds:
                raise OvertimeError
            with self._change:
                if not job.unwanted:
                    job.shot = replace(job.shot, stage=stage, done=done, total=total)

        try:
            result = job.work(report)
        except CancelledError:
            return replace(job.shot, state=State.cancelled, stage="cancelled")
        except OvertimeError:
            message = (
                f"The job ran longer than {self._seconds:g} seconds, the most this server allows: "
                "ask for a shorter text, fewer targets or a faster method."
            )
            return _failed(job.shot, Failure("OvertimeError", message, 422))
        except AttnflowError as error:
            return _failed(job.shot, Failure(type(error).__name__, str(error), 422))
        except Exception as error:
            _LOG.exception("A job failed")
            message = f"The server failed ({type(error).__name__}); its log says where."
            return _failed(job.shot, Failure("InternalError", message, 500))
        return replace(job.shot, state=State.done, stage="done", result=result)


def _failed(shot: Snapshot, failure: Failure) -> Snapshot:
    return replace(shot, state=State.failed, stage="failed", failure=failure)


def _nothing(_: Report) -> str:
    raise AssertionError("work runs once")
