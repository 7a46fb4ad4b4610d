"""The queue on its own: order, bounds, progress, cancellation, failures."""

import threading
import time

import pytest

from attnflow.errors import InputError
from attnflow.serve.jobs import Jobs, QueueFullError, State


@pytest.fixture
def jobs():
    made = Jobs(workers=1, queue=2, seconds=30, remember=3)
    yield made
    made.close()


class Gate:
    """Work that reports until it is let go."""

    def __init__(self, result="found"):
        self.started, self.open, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.result = result

    def __call__(self, report):
        try:
            for step in range(10_000):
                report("working", step, None)
                self.started.set()
                if self.open.wait(0.005):
                    return self.result
        except BaseException:
            self.stopped.set()
            raise
        raise AssertionError("never let go")


def test_work_done_and_reported(jobs):
    seen = []

    def work(report):
        report("counting", 2, 5)
        seen.append(jobs.get(name))
        return "the-result"

    gate = Gate()
    jobs.submit(gate)
    assert gate.started.wait(10)
    name = jobs.submit(work).id
    gate.open.set()
    end = jobs.wait(name, 10)
    assert (end.state, end.result, end.failure) == (State.done, "the-result", None)
    assert (seen[0].state, seen[0].stage, seen[0].done, seen[0].total) == (State.running, "counting", 2, 5)


def test_queue_is_bounded_and_tells_who_is_ahead(jobs):
    gate = Gate()
    first = jobs.submit(gate).id
    assert gate.started.wait(10)
    second, third = jobs.submit(lambda report: "b").id, jobs.submit(lambda report: "c").id
    assert jobs.get(third).ahead == 1
    assert jobs.get(second).state is State.queued
    with pytest.raises(QueueFullError, match="2 jobs are waiting"):
        jobs.submit(lambda report: "d")
    gate.open.set()
    assert [jobs.wait(name, 10).result for name in (first, second, third)] == ["found", "b", "c"]


def test_cancelling_a_running_job_unwinds_its_work(jobs):
    gate = Gate()
    name = jobs.submit(gate).id
    assert gate.started.wait(10)
    assert jobs.cancel(name).stage == "stopping"
    end = jobs.wait(name, 10)
    assert (end.state, end.result) == (State.cancelled, None)
    assert gate.stopped.is_set()
    assert jobs.wait(jobs.submit(lambda report: "next").id, 10).result == "next"


def test_cancelling_a_waiting_job_means_it_never_runs(jobs):
    gate, ran = Gate(), []
    jobs.submit(gate)
    assert gate.started.wait(10)
    name = jobs.submit(lambda report: ran.append(1) or "x").id
    assert jobs.cancel(name).state is State.cancelled
    gate.open.set()
    assert jobs.wait(jobs.submit(lambda report: "last").id, 10).result == "last"
    assert not ran


def test_a_finished_job_cannot_be_cancelled(jobs):
    name = jobs.submit(lambda report: "x").id
    jobs.wait(name, 10)
    assert jobs.cancel(name).state is State.done
    assert jobs.cancel("nonsense") is None


def test_refusals_keep_their_sentence_and_defects_do_not_leak(jobs, caplog):
    def refuse(report):
        raise InputError("Found nothing; expected something: type it.")

    def break_down(report):
        raise KeyError("/home/operator/secret")

    refused = jobs.wait(jobs.submit(refuse).id, 10)
    assert refused.state is State.failed
    assert vars(refused.failure) == {
        "kind": "InputError",
        "message": "Found nothing; expected something: type it.",
        "status": 422,
    }
    broken = jobs.wait(jobs.submit(break_down).id, 10)
    assert (broken.failure.kind, broken.failure.status) == ("InternalError", 500)
    assert "secret" not in broken.failure.message
    assert "secret" in caplog.text


def test_a_job_that_runs_too_long_is_stopped():
    jobs = Jobs(workers=1, queue=1, seconds=0.05, remember=3)
    gate = Gate()
    end = jobs.wait(jobs.submit(gate).id, 10)
    assert (end.state, end.failure.kind) == (State.failed, "OvertimeError")
    assert gate.stopped.is_set()
    jobs.close()


def test_old_jobs_are_forgotten(jobs):
    names = []
    for _ in range(6):
        names.append(jobs.submit(lambda report: "x").id)
        jobs.wait(names[-1], 10)
    jobs.submit(lambda report: "x")
    assert jobs.get(names[0]) is None
    assert jobs.get(names[-1]) is not None


def test_close_stops_the_workers():
    jobs = Jobs(workers=2, queue=4, seconds=30, remember=3)
    gates = [Gate(), Gate()]
    names = [jobs.submit(gate).id for gate in gates]
    for gate in gates:
        assert gate.started.wait(10)
    waiting = jobs.submit(lambda report: "x").id
    start = time.monotonic()
    jobs.close()
    assert time.monotonic() - start < 5  # it did not wait for the deadline of close()
    assert [jobs.get(name).state for name in (*names, waiting)] == [State.cancelled] * 3
    with pytest.raises(QueueFullError, match="stopping"):
        jobs.submit(lambda report: "x")
