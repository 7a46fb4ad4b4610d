import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny models are slower on many threads."""
    import torch

    found = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(found)


@pytest.fixture(scope="session")
def minilm():
    from attnflow.capture import load_model

    return load_model("minilm")
