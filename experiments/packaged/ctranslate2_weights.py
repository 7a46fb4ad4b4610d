"""The tensors of a CTranslate2 model file.

The format (version 6) is little-endian: version, name of the model's class, its revision, then the variables, each
with name, shape, type and bytes, then aliases of variables. Strings are preceded by their length and end in a zero.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def variables(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads every variable, aliases included, in the type it is stored in.

    Raises:
        ValueError: the file is no CTranslate2 model of version 6.
    """
    found: dict[str, NDArray[np.generic]] = {}
    with path.open("rb") as file:
        version = _number(file, "I")
        if version != 6:
            raise ValueError(f"{path} has format version {version}, expected 6.")
        _text(file), _number(file, "I")
        for _ in range(_number(file, "I")):
            name = _text(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            kind = _TYPES[_number(file, "B")]
            found[name] = np.frombuffer(file.read(_number(file, "I")), dtype=kind).reshape(shape)
        for _ in range(_number(file, "I")):
            alias = _text(file)
            found[alias] = found[_text(file)]
    return found


def _number(file: BinaryIO, code: str) -> int:
    return int(struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()
