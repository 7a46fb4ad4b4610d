"""Random numbers for compiled loops, the same everywhere: splitmix64 (Steele, Lea & Flood 2014)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def mix(x):
    """The finaliser, also used as a hash.

    Args:
        x: uint64.

    Returns:
        uint64.
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def draw(state, below):
    """A random number.

    Args:
        state: uint64 [1], moved on.
        below: the first number too large.

    Returns:
        int64 from 0 to below - 1.
    """
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mix(state[0]) >> np.uint64(33)) % np.uint64(below))
