"""Where a model reads its inputs, also if its weights are elsewhere: offloaded, or split over devices."""

from __future__ import annotations

from typing import Any

import torch

from attnflow.errors import CaptureError


def device_of(model: Any) -> torch.device:
    """The device that inputs go to.

    Weights that accelerate keeps in memory or on disk are on the "meta" device until a layer runs; its hooks say
    where that is.

    Raises:
        CaptureError: no weights at all were loaded.
    """
    hooked = None
    for module in model.modules():
        hook = vars(module).get("_hf_hook")
        if hook is None:
            continue
        for part in getattr(hook, "hooks", (hook,)):
            place = getattr(part, "execution_device", None)
            if place is not None and hooked is None:
                hooked = torch.device("cuda", place) if isinstance(place, int) else torch.device(place)
    if hooked is not None:
        return hooked
    found = next((weight.device for weight in model.parameters() if weight.device.type != "meta"), None)
    if found is None and next(model.parameters(), None) is not None:
        raise CaptureError(
            f"{type(model).__name__} has no weights: all are on the meta device. Load it with from_pretrained."
        )
    return torch.device("cpu") if found is None else found
