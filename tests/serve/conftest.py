import threading
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("torch")

from fastapi.testclient import TestClient
from serving import HOST

import tiny
import tiny_media
from attnflow.serve.app import create_app
from attnflow.serve.settings import Limits, Settings


@pytest.fixture(scope="session")
def loaded():
    """Tiny models by place, built once."""
    return {
        "classifier": (tiny.build("bert-class"), tiny.wordpiece()),
        "writer": (tiny.build("gpt2", n_positions=300), tiny.byte_bpe()),
        "seer": (tiny_media.build("vit"), tiny_media.eye()),
    }


class Loader:
    """Loads tiny models, and says which and when."""

    def __init__(self, loaded):
        self.loaded, self.places, self.at_once, self.lock = loaded, [], 0, threading.Lock()

    def __call__(self, place):
        assert self.lock.acquire(blocking=False), "two models are loaded at once"
        try:
            time.sleep(0.02)
            self.places.append(place)
            return self.loaded[place]
        finally:
            self.lock.release()


@pytest.fixture
def loader(loaded):
    return Loader(loaded)


@pytest.fixture
def serve(loader, tmp_path):
    """Starts servers on one results folder; each is stopped at the end of its `with`."""

    def start(*, results=tmp_path / "results", limits=None, **options):
        settings = Settings(
            models={name: name for name in loader.loaded},
            results=results,
            limits=Limits(**(limits or {})),
            threads=1,
            **options,
        )
        return TestClient(create_app(settings, loader), base_url=HOST)

    return start


@pytest.fixture
def client(serve):
    with serve() as client:
        yield client
