"""How the loops of the central flow are compiled."""

from __future__ import annotations

from typing import Any

from numba import njit


def loop(function: Any) -> Any:
    """Compiles a loop when it is first called, and keeps it on disk; it lets other threads run.

    It allocates nothing: that takes longer to compile than most loops here.
    """
    return njit(
        cache=True, nogil=True, boundscheck=False, error_model="numpy", no_cfunc_wrapper=True, _nrt=False
    )(function)
