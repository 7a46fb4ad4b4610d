"""How the solver's loops are compiled, and how they read tables.

Tables are one-dimensional; a row is eight or sixteen entries, so that an entry is found by a shift. Loops are given
the addresses of tables, and read and write by `get` and `put`, which trust the place they are told. As arrays, a
dozen for each call, they would take most of the time to compile, and a good part of that to run: to count references,
and to ask at each index whether it counts from the end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import njit, types
from numba.core.ccallback import CFunc
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

#: How every loop is compiled: it counts no references to arrays, does not ask where an index lies, and has no
#: expressions of arrays to look for.
_OPTIONS = {"boundscheck": False, "error_model": "numpy", "_nrt": False, "no_rewrites": True}


@cache
def _written(folder: Path) -> tuple[tuple[str, float, int], ...]:
    """When a folder's files were written."""
    found = [(path.name, path.stat()) for path in sorted(folder.glob("*.py"))]
    return tuple((name, stat.st_mtime, stat.st_size) for name, stat in found)


def _stamp(kept: Any, function: Any) -> None:
    """Makes what is kept on disk out of date when any file of the loop's folder changes.

    Loops call one another across files, and each is compiled with what it calls, but for loops apart.
    """
    with contextlib.suppress(AttributeError):  # another layout: it asks for the loop's own file only
        kept._cache_file._source_stamp = _written(Path(function.__code__.co_filename).parent)


def _compiled(**options: bool) -> Callable[[Any], Any]:
    """Compiles a loop once, cached on disk; it lets other threads run, and allocates nothing."""

    def compile_(function: Any) -> Any:
        loop = njit(cache=True, nogil=True, no_cfunc_wrapper=True, **_OPTIONS, **options)(function)
        _stamp(loop._cache, function)
        return loop

    return compile_


#: A loop that Python calls.
entry = _compiled()
#: A loop that only other loops call.
inner = _compiled(no_cpython_wrapper=True)
#: A loop that becomes part of those that call it.
inlined = _compiled(no_cpython_wrapper=True, forceinline=True)


#: Loops apart by their symbols, compiled or not; and the lock that lets one thread at a time see to them.
_apart: dict[str, CFunc] = {}
_ready: set[str] = set()
_lock = threading.Lock()


def apart(function: Any) -> Any:
    """A loop that others call by its symbol, and are compiled without; `ready` has to be called before any of them is.

    It takes int64 alone, addresses of tables among them, and returns one.
    """
    symbol = f"{function.__module__}.{function.__qualname__}"
    arguments = (types.int64,) * function.__code__.co_argcount
    loop: Any = CFunc(function, (arguments, types.int64), locals={}, options=_OPTIONS)
    loop.enable_caching()
    _stamp(loop._cache, function)
    _apart[symbol] = loop
    _ready.discard(symbol)
    return types.ExternalFunction(symbol, types.int64(*arguments))


def ready() -> None:
    """Compiles the loops apart or reads them from the cache, once in a process, and makes their symbols known."""
    with _lock:
        for symbol, loop in _apart.items():  # who is called comes before who calls
            if symbol not in _ready:
                loop.compile()
                llvm.add_symbol(symbol, loop.address)
                _ready.add(symbol)


def _table(table: Any, kind: Any) -> Any:
    """The type of a table as the loops may take it: an address, or an array of this type without gaps."""
    if not isinstance(table, types.Array):
        return types.int64
    if table.ndim != 1 or table.layout != "C" or table.dtype != kind:
        raise TypingError(f"found {table}, expected its address or a contiguous array of {kind}")
    return table


def _entry(kind: Any) -> tuple[Any, Any]:
    """Intrinsics that read and write entries of one type in a table, given as its address or an array."""

    def place(context: Any, builder: Any, table: Any, start: Any, index: Any) -> Any:
        value = context.get_value_type(kind)
        if isinstance(table, types.Array):
            start = context.make_array(table)(context, builder, start).data
        else:
            start = builder.inttoptr(start, value.as_pointer())
        return builder.gep(start, [index], source_etype=value)

    @intrinsic
    def read(typingctx: Any, table: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            where = place(context, builder, signature.args[0], args[0], args[1])
            return builder.load(where, typ=context.get_value_type(kind))

        return kind(_table(table, kind), types.int64), generate

    @intrinsic
    def write(typingctx: Any, table: Any, index: Any, entry: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[2], place(context, builder, signature.args[0], args[0], args[1]))
            return context.get_dummy_value()

        return types.void(_table(table, kind), types.int64, kind), generate

    return read, write


get, put = _entry(types.int64)
get_double, _ = _entry(types.float64)
get_single, _ = _entry(types.float32)
get_short, put_short = _entry(types.int32)


@intrinsic
def lowest(typingctx: Any, word: Any) -> Any:
    """Place of the lowest bit that is set in an int64; 64 if there is none."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], context.get_constant(types.boolean, False))

    return types.int64(types.int64), generate


@inlined
def bit_of(at):
    """The bit of a position in its word."""
    return np.int64(1) << (at & 63)


def address(array: NDArray[Any]) -> int:
    """Where an array's first entry lies. Who uses it keeps the array."""
    place: int = array.__array_interface__["data"][0]
    return place
