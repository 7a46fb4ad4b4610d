"""Runs the benchmarks and writes benchmarks/results.json and the tables in docs/performance.md.

python -m benchmarks.run                       # everything, about 20 minutes
python -m benchmarks.run --quick               # everything, smaller, a few minutes; writes nothing
python -m benchmarks.run flow central          # some sections; the others keep their figures
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from attnflow.files import write_whole
from benchmarks import machine
from benchmarks.rows import Row, as_json, from_json, markdown

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DOCUMENT = HERE.parent / "docs" / "performance.md"

#: What is run, in this order, and what it is called in the document.
SECTIONS = {
    "flow": "One target, all inputs",
    "explain": "The whole of `explain`",
    "targets": "All targets at once",
    "long": "Long contexts",
    "central": "The central flow",
    "memory": "Memory of capture",
    "growth": "Growth with the context",
    "start": "Import and compilation",
    "limit": "The physical limit",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes; prints, writes nothing")
    parser.add_argument("--json", type=Path, help="write the figures here instead of the project's files")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; expected {', '.join(SECTIONS)}")
    found: dict[str, Any] = {}
    broken: list[str] = []
    for name in arguments.sections or SECTIONS:
        found[name] = section(name, arguments.quick, broken)
        if arguments.json is not None:
            write_whole(arguments.json, json.dumps(found, indent=1) + "\n")
        elif not arguments.quick:
            publish({name: found[name]})
    if broken:
        sys.exit(f"Broke off: {', '.join(broken)}.")


def section(name: str, quick: bool, broken: list[str]) -> dict[str, Any]:
    """Runs one section in this process, printing rows as they come.

    One that fails, for a package that is not installed say, keeps the rows it has and says how it ended, so
    that the others still run; its name is added to `broken`.
    """
    import torch

    torch.set_num_threads(1)
    begin = time.perf_counter()
    print(f"\n## {SECTIONS[name]}\n", flush=True)
    before = machine.describe()
    rows: list[Row] = []
    try:
        rows.extend(_each(importlib.import_module(f"benchmarks.{name}").rows(quick)))  # keeps what came first
    except Exception as error:
        traceback.print_exc()
        broken.append(name)
        last = str(error).strip().splitlines()[-1:] or [""]
        rows.append(Row(SECTIONS[name], "broke off here", None, note=f"{type(error).__name__}: {last[0]}"))
    seconds = time.perf_counter() - begin
    print(f"({seconds:.0f} s)")
    return {
        "date": date.today().isoformat(),
        "machine": before,
        "quick": quick,
        "seconds": round(seconds, 1),
        "rows": as_json(rows),
    }


def _each(rows: Iterator[Row]) -> Iterator[Row]:
    shown = False
    for row in rows:
        lines = markdown([row]).splitlines()
        print("\n".join(lines[2:] if shown else lines), flush=True)
        shown = True
        yield row


def publish(found: dict[str, Any]) -> None:
    """Puts sections into the results and their tables into the document."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known = {name: (known | found)[name] for name in SECTIONS if name in known | found}
    write_whole(RESULTS, json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    if DOCUMENT.exists():
        text = DOCUMENT.read_text()
        for name, part in known.items():
            text = _replaced(text, name, f"{_machine(part)}\n\n{markdown(from_json(part['rows']))}")
        write_whole(DOCUMENT, text)


def _machine(part: dict[str, Any]) -> str:
    box = part["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in box["versions"].items() if number)
    return (
        f"{part['date']}; {box['processor']}, {box['cores']} cores, {box['memory_gb']:.0f} GB; load average at "
        f"the start {box['load']}; Python {box['python']}, {versions}. {part['seconds']:.0f} s."
    )


def _replaced(text: str, name: str, table: str) -> str:
    """The text with the table between the section's two markers; unchanged if it has none."""
    opening, closing = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
    if opening not in text or closing not in text:
        return text
    head, rest = text.split(opening, 1)
    return f"{head}{opening}\n{table}\n{closing}{rest.split(closing, 1)[1]}"


if __name__ == "__main__":
    main()
