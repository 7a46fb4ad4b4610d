"""Packages that some model types need, from where `make support` puts them: a folder out of everything else's sight."""

from __future__ import annotations

import sys

from experiments.packaged.timm_models import FOLDER, declare_operators


def beside() -> None:
    """Lets transformers find timm and torchvision, which it looks for when a model type is imported.

    Has to come before the first import of transformers' models, since what is available is looked up once.
    """
    if (FOLDER / "timm").is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
        declare_operators()
