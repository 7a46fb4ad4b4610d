"""Debian's Chromium, and whatever it opens: pages from disk, the served app, a JupyterLab.

Every page that a test opens is watched: an error on its console, an exception, or a request to anywhere but the
one place it came from fails the test.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from urllib.request import urlopen

import pytest

#: Milliseconds until a test gives up waiting; a loaded machine is slow, not broken.
PATIENCE = int(os.environ.get("ATTNFLOW_PATIENCE", "60000"))
REQUIRED = bool(os.environ.get("ATTNFLOW_BROWSER_REQUIRED"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)


def _lacking(what):
    if REQUIRED:
        pytest.fail(f"{what}: `make browser` and CI need it.")
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import expect, sync_playwright
    except ModuleNotFoundError:
        _lacking("playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        _lacking("no Chromium is installed (Debian: apt-get install chromium)")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watch:
    """What a page did that it should not have."""

    def __init__(self, page, allowed):
        self.allowed, self.errors, self.requests = allowed, [], []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    @property
    def foreign(self):
        """Requests that left the page's own place."""
        local = ("data:", "blob:", self.allowed)
        return [url for url in self.requests if not url.startswith(local)]


@pytest.fixture
def visit(chromium):
    """Opens an address in a page of its own; at the end no page may have erred or asked elsewhere."""
    opened = []

    def open_page(url, *, allowed=None, width=1280, height=900, scheme="light", forgive=(), **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        watch = Watch(page, allowed or url)
        opened.append((context, watch, forgive))
        page.goto(url)
        page.watch = watch
        return page

    yield open_page
    found = []
    for context, watch, forgive in opened:
        context.close()
        found += [error for error in watch.errors if not any(part in error for part in forgive)]
        found += [f"request: {url}" for url in watch.foreign]
    assert not found


# -- results -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def results():
    """Results by name, each computed once."""
    import results as made
    import tiny
    import tiny_media
    from attnflow import explain

    sentence = "The unpretentious acting is not bad, brilliant."
    writer = {"model": tiny.build("gpt2", n_positions=300), "tokenizer": tiny.byte_bpe()}
    translator = {"model": tiny.build("bart"), "tokenizer": tiny.byte_bpe(roberta=True)}
    return {
        "single": explain("sentiment", sentence, method="flow", capacity="relevance"),
        "several": explain("sentiment", sentence, method=["flow", "shapley"], capacity="relevance"),
        "generated": explain(
            **writer, text="the quick brown fox jumps", method="central", generate=4, prefix="closed"
        ),
        "translated": explain(**translator, text="the quick brown fox", method="central", generate=3),
        "picture": explain(
            tiny_media.build("vit"), image=tiny_media.picture(), processor=tiny_media.eye(), method="flow"
        ),
        "long": explain(
            **writer, text="the quick brown fox jumps over the lazy dog " * 19 + "the end", method="rollout"
        ),
        "awkward": made.awkward(),
    }


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Folder of pages from disk."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def links(served, shelf, results):
    """Names of the results on the server."""
    return {name: shelf.put(result, network=name != "awkward") for name, result in results.items()}


# -- the served app ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """The server's folder of results."""
    pytest.importorskip("fastapi")
    from attnflow.serve.shelf import Shelf

    return Shelf(tmp_path_factory.mktemp("results"), 1000)


@pytest.fixture(scope="session")
def served(shelf):
    """A server on a free port, with the sentiment model and tiny ones; yields its address."""
    pytest.importorskip("fastapi")
    import uvicorn

    import tiny
    import tiny_media
    from attnflow.capture import load_model
    from attnflow.serve.app import create_app
    from attnflow.serve.settings import Limits, Settings

    own = {
        "seer": lambda: (tiny_media.build("vit"), tiny_media.eye()),
        "writer": lambda: (tiny.build("gpt2", n_positions=300), tiny.byte_bpe()),
        "translator": lambda: (tiny.build("bart"), tiny.byte_bpe(roberta=True)),
    }
    settings = Settings(
        models={name: name for name in ("sentiment", "writer", "translator", "seer")},
        results=shelf.folder,
        loaded=4,
        limits=Limits(queue=3),
    )
    app = create_app(settings, lambda place: own[place]() if place in own else load_model(place))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


# -- a notebook --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory, results):
    """A JupyterLab on loopback in a home of its own, with the results beside its notebooks.

    Yields its address, its token and the folder of notebooks.
    """
    try:
        import jupyterlab  # noqa: F401
    except ModuleNotFoundError:
        _lacking("jupyterlab is not installed")
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("notebooks", "runtime", "config", "data", "ipython"):
        (home / name).mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "config" / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "config" / "workspaces"),
    }
    for name, result in results.items():
        result.save(home / "notebooks" / f"{name}.json", network=name != "awkward")
    settings = home / "config" / "lab" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    # News and updates would be asked for elsewhere.
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    token = "attnflow-tests"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"),
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={home / 'notebooks'}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=",
        "--ServerApp.terminals_enabled=False",
    ]
    log = (home / "log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = _address(process, home)
        yield address, token, home / "notebooks"
    finally:
        process.terminate()
        process.wait(15)
        log.close()


#: A notebook with the output of a result, and with its widget, which tells Python what is chosen.
MARIMO = """import marimo

app = marimo.App()


@app.cell
def _():
    import attnflow

    result = attnflow.Attribution.load("generated.json")
    result
    return (result,)


@app.cell
def _(result):
    import marimo as mo

    widget = mo.ui.anywidget(result.widget())
    widget
    return mo, widget


@app.cell
def _(mo, widget):
    mo.md(f"chosen target: {widget.value['selection'].get('target')}")
    return
"""


@pytest.fixture(scope="session")
def marimo(tmp_path_factory, results):
    """A marimo on loopback that runs one notebook; yields its address."""
    try:
        import marimo  # noqa: F401
    except ModuleNotFoundError:
        _lacking("marimo is not installed")
    home = tmp_path_factory.mktemp("marimo")
    (home / "notebook.py").write_text(MARIMO)
    results["generated"].save(home / "generated.json", network=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "MARIMO_SKIP_UPDATE_CHECK": "1",
    }
    command = [
        *(sys.executable, "-m", "marimo", "run", "notebook.py", "--headless", "--no-token"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    log = (home / "log").open("w")
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None, (home / "log").read_text()[-2000:]
            assert time.monotonic() < end, (home / "log").read_text()[-2000:]
            try:
                urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(15)
        log.close()


def _address(process, home):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, (home / "log").read_text()[-2000:]
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                address = f"http://127.0.0.1:{json.loads(file.read_text())['port']}"
                urlopen(f"{address}/api", timeout=5).close()
            except (OSError, ValueError):
                continue
            return address
        time.sleep(0.1)
    raise AssertionError((home / "log").read_text()[-2000:])
