"""Models: loaded once, when first asked for, one at a time; the least recently used forgotten."""

import threading

import pytest
import torch
from serving import until

from attnflow.errors import OptionError
from attnflow.serve.catalogue import Catalogue


class Model(torch.nn.Module):
    def forward(self, x):
        return x


@pytest.fixture
def made():
    return []


@pytest.fixture
def catalogue(made):
    def load(place):
        made.append(place)
        return Model(), None

    return Catalogue({"a": "A", "b": "B", "c": "C"}, keep=2, load=load)


def nothing():
    pass


def use(catalogue, name):
    with catalogue.open(name, nothing) as hold:
        return hold.model


def test_loaded_when_asked_for_and_kept(catalogue, made):
    assert made == []
    assert use(catalogue, "a") is use(catalogue, "a")
    assert made == ["A"]


def test_the_least_recently_used_is_dropped(catalogue, made):
    for name in "abacb":
        use(catalogue, name)
    assert made == ["A", "B", "C", "B"]
    assert [catalogue.is_loaded(name) for name in "abc"] == [False, True, True]


def test_a_model_in_use_is_not_dropped(catalogue):
    with catalogue.open("a", nothing) as hold:
        use(catalogue, "b")
        use(catalogue, "c")
        assert catalogue.is_loaded("a")
        assert hold.model is not None


def test_one_job_at_a_time_holds_a_model(catalogue):
    waits, entered, leave = threading.Event(), threading.Event(), threading.Event()

    def other():
        with catalogue.open("a", waits.set):
            entered.set()

    with catalogue.open("a", nothing) as hold:
        thread = threading.Thread(target=other)
        thread.start()
        assert waits.wait(10)
        assert not entered.wait(0.3)
        hold.release()  # what follows needs the model no more
        assert entered.wait(10)
        leave.set()
    thread.join(10)


def test_waiting_for_a_model_can_be_given_up(catalogue):
    gone = []

    def give_up():
        raise InterruptedError

    def other():
        try:
            use_with = catalogue.open("a", give_up)
            with use_with:
                raise AssertionError("entered")
        except InterruptedError:
            gone.append(True)

    with catalogue.open("a", nothing):
        thread = threading.Thread(target=other)
        thread.start()
        until(lambda: gone)
        thread.join()
    use(catalogue, "a")  # not left locked


def test_a_forward_pass_asks_whether_it_is_still_wanted(catalogue):
    stop = []

    def check():
        if stop:
            raise InterruptedError

    with catalogue.open("a", check) as hold:
        assert hold.model(1) == 1
        stop.append(True)
        with pytest.raises(InterruptedError):
            hold.model(1)
    assert use(catalogue, "a")(1) == 1  # outside a job nobody asks


def test_a_model_that_cannot_be_loaded_leaves_no_lock():
    def load(place):
        raise OptionError("no such model")

    catalogue = Catalogue({"a": "A"}, keep=1, load=load)
    for _ in range(2):
        with pytest.raises(OptionError, match="no such model"):
            use(catalogue, "a")


def test_unknown_names_are_refused(catalogue):
    with pytest.raises(OptionError, match="Unknown model '/etc'"):
        use(catalogue, "/etc")
