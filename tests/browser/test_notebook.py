"""A result in a real JupyterLab."""

import json

import pytest
from playwright.sync_api import expect

from attnflow import explain

#: What JupyterLab itself says on its console, whatever a notebook shows.
LAB = ("jupyterlab", "lab/", "static/", "WebSocket", "net::ERR", "Failed to load resource", "workspace")


@pytest.fixture(scope="session")
def notebook(jupyter):
    """Writes a notebook of these cells beside a saved result, and returns its address."""
    address, token, folder = jupyter
    result = explain("sentiment", "The movie was not bad at all.", method="flow", capacity="relevance")
    result.save(folder / "result.json", network=True)

    def write(name, *cells):
        document = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
        }
        (folder / name).write_text(json.dumps(document))
        return f"{address}/lab/tree/{name}?token={token}&reset"

    return write


def run_all(page):
    """Runs every cell of the open notebook."""
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady", timeout=60_000)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")


def test_a_result_draws_itself(visit, notebook, jupyter):
    url = notebook("shows.ipynb", "from attnflow import Attribution\nAttribution.load('result.json')")
    page = visit(url, allowed=jupyter[0].replace("http", "http"), forgive=LAB)
    run_all(page)
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("bad", timeout=60_000)
