"""A bottleneck may be the target's own weights: every view has a name for it."""

import numpy as np

from attnflow import FlowNetwork, attribute
from attnflow.view import html, terminal


def test_every_view_names_it():
    network = FlowNetwork.encoder(np.full((1, 3, 3), 5.0))
    result = attribute(network, method="flow", targets=[[0, 1]], weights=[[0.5, 0.5]])
    assert (result.bottleneck == 2).all()
    assert "target weights" in html.page(result)
    assert html.fragment(result)
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal.render(result, bounds=True))
    assert "target weights" in console.export_text()
