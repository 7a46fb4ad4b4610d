"""What the tests of the server share."""

import time

TEXT = "the quick brown fox jumps over the lazy dog"
HOST = "http://localhost"


def explained(client, **options):
    """The job that a request leaves when it is over."""
    body = {"model": "classifier", "text": TEXT, "method": "flow", **options}
    answer = client.post("/api/explain?wait=60", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def endless(client, **options):
    """Starts a job that samples until it is stopped."""
    body = {"model": "writer", "text": (TEXT + " ") * 3, "method": "shapley", "stderr": 0.0005, **options}
    answer = client.post("/api/explain?wait=0.3", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def until(check, seconds=30.0):
    """Waits until `check` returns something true, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")
