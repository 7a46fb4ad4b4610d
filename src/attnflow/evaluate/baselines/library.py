"""captum, loaded when a method first needs it."""

from __future__ import annotations

import importlib
from typing import Any

from attnflow.errors import MissingExtraError


def captum() -> Any:
    """The module `captum.attr`.

    Raises:
        MissingExtraError: captum is not installed.
    """
    try:
        return importlib.import_module("captum.attr")
    except ImportError as error:
        raise MissingExtraError("captum", "evaluate", str(error)) from error
