"""Files of Debian packages: read where the package is unpacked in the user's cache, without installing it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "attnflow" / "debian"


def unpacked(*packages: str) -> Path:
    """The folder that holds the files of all these packages, each downloaded and unpacked once.

    Raises:
        FileNotFoundError: a package is not unpacked yet, and there is no apt-get to download it.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    for package in packages:
        mark = CACHE / f".{package}"
        if mark.exists():
            continue
        if shutil.which("apt-get") is None:
            raise FileNotFoundError(
                f"There is no apt-get to download {package} with: unpack it into {CACHE} and make the file {mark}."
            )
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            subprocess.run(
                ["apt-get", "download", "-qq", package], cwd=folder, check=True, capture_output=True
            )
            (file,) = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", str(file), str(CACHE)], check=True)
        mark.touch()
    return CACHE
