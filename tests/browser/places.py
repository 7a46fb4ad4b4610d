"""The places in which a result is shown, one way to open each and to start over."""

from __future__ import annotations

import json

#: What JupyterLab itself says on its console, whatever a notebook shows.
LAB = ("jupyterlab", "/lab/", "/static/", "WebSocket", "favicon", "workspace", "ERR_ABORTED")


def write_notebook(path, *cells):
    """Writes a notebook of code cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
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
    path.write_text(json.dumps(document))


def run_all(page):
    """Runs every cell of the open notebook to its end."""
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")


class FromDisk:
    """A page that `to_html` wrote."""

    def __init__(self, visit, results, folder):
        self.visit, self.results, self.folder = visit, results, folder

    def open(self, name, **options):
        path = self.folder / f"{name}.html"
        if not path.exists():
            self.results[name].to_html(path)
        return self.visit(path.as_uri(), **options)


class Served:
    """A permalink of the web app."""

    def __init__(self, visit, address, links):
        self.visit, self.address, self.links = visit, address, links

    def open(self, name, **options):
        return self.visit(f"{self.address}/r/{self.links[name]}", allowed=self.address, **options)


class Notebook:
    """The output of a cell in JupyterLab."""

    def __init__(self, visit, jupyter):
        self.visit, (self.address, self.token, self.folder) = visit, jupyter

    def open(self, name, call="", **options):
        kind = "Comparison" if name == "several" else "Attribution"
        source = f"from attnflow import {kind}\n{kind}.load('{name}.json'){call}"
        path = self.folder / f"{name}{'-widget' if call else ''}.ipynb"
        write_notebook(path, source)
        url = f"{self.address}/lab/tree/{path.name}?token={self.token}&reset"
        page = self.visit(url, allowed=self.address, forgive=LAB, **options)
        run_all(page)
        return page
