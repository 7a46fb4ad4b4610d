"""Writing files so that they appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from attnflow.errors import InputError


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes `content` to `path` by way of a temporary file beside it and a rename.

    Args:
        path: where the file shall be; an existing file is replaced.
        content: text (written as UTF-8) or bytes.

    Raises:
        InputError: the folder does not exist, or cannot be written to.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as error:
        raise InputError(
            f"Cannot write {os.fspath(path)!r}: {error.strerror} (folder {target.parent})."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InputError(f"Cannot write {os.fspath(path)!r}: {error.strerror}.") from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
