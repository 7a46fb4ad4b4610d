"""The operator's choices, and what the operator is told."""

import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from serving import until
from typer.testing import CliRunner

from attnflow.cli import app
from attnflow.errors import OptionError
from attnflow.serve.command import offered
from attnflow.serve.running import announcement, run
from attnflow.serve.settings import Settings, is_loopback, named_models

run_command = CliRunner().invoke


def test_models_are_named(tmp_path):
    assert named_models([f"mine={tmp_path}", "hub=org/model"]) == {"mine": str(tmp_path), "hub": "org/model"}
    assert next(iter(offered(True, [f"mine={tmp_path}"]))) == "mine"
    assert offered(False, [f"mine={tmp_path}"]) == {"mine": str(tmp_path)}


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (["mine"], "expected NAME=PATH_OR_ID"),
        (["=x"], "expected NAME=PATH_OR_ID"),
        (["a=x", "a=y"], "given twice"),
        (["a=./nowhere"], "is no directory"),
    ],
)
def test_models_that_cannot_be_offered(items, sentence):
    with pytest.raises(OptionError, match=sentence):
        named_models(items)


def test_settings_that_no_server_can_have():
    with pytest.raises(OptionError, match="No model to serve"):
        Settings(models={})
    with pytest.raises(OptionError, match="letters, digits"):
        Settings(models={"../a": "x"})
    with pytest.raises(OptionError, match="workers=0"):
        Settings(models={"a": "x"}, workers=0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.1.2.3", True),
        ("0.0.0.0", False),
        ("box", False),
    ],
)
def test_other_machines_are_warned_of(host, loopback):
    assert is_loopback(host) is loopback
    lines = announcement(Settings(models={"a": "x"}, host=host), 1)
    assert any("WARNING" in line for line in lines) is not loopback


def test_loopback_is_the_default():
    assert is_loopback(Settings(models={"a": "x"}).host)


def test_a_port_in_use_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="choose another --port"):
            run(Settings(models={"a": "x"}, port=taken.getsockname()[1]))


def test_help_and_refusals_on_the_command_line():
    shown = run_command(app, ["serve", "--help"])
    assert shown.exit_code == 0
    assert "--allow-host" in shown.output
    refused = run_command(app, ["serve", "--no-bundled"])
    assert refused.exit_code == 1
    assert "No model to serve" in refused.output


@pytest.mark.slow
def test_ctrl_c_cancels_what_is_waited_for(tmp_path):
    """A request that waits for a job is answered, and the server goes without a complaint."""
    code = (
        "from attnflow.serve.running import run; from attnflow.serve.settings import Settings\n"
        "run(Settings(models={'sentiment': 'sentiment'}, port=0))"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://[\d.:]+", server.stdout.readline()).group()
        body = {"model": "sentiment", "text": "very " * 300, "method": "shapley", "stderr": 0.0005}
        with ThreadPoolExecutor() as pool:
            waited = pool.submit(httpx2.post, f"{address}/api/explain?wait=60", json=body, timeout=120)
            until(lambda: httpx2.get(f"{address}/api/models", timeout=60).json()["models"][0]["loaded"], 120)
            server.send_signal(signal.SIGINT)
            assert waited.result(120).json()["state"] == "cancelled"
        assert server.wait(60) in (0, -signal.SIGINT, 1, 130)
        assert "ERROR" not in server.stderr.read()
    finally:
        server.kill()
        server.communicate()
