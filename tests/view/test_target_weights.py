"""A bottleneck may be the target's own weights: every view has a name for it."""

import numpy as np

from attnflow import FlowNetwork, attribute
from attnflow.view import terminal
from attnflow.view.payload import payload


def test_every_view_names_it():
    network = FlowNetwork.encoder(np.full((1, 3, 3), 5.0))
    result = attribute(network, method="flow", targets=[[0, 1]], weights=[[0.5, 0.5]])
    assert (result.bottleneck == 2).all()
    (shown,) = payload(result)["results"]
    assert shown["layers"][shown["bottleneck"][0][0] - 1] == "target weights"
    assert shown["flows"]["items"][0]["cut_at_target"] > 0
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal.render(result, bounds=True))
    assert "target weights" in console.export_text()
