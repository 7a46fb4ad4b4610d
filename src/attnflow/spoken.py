"""What the library says of its arguments, said of the command line's options.

The library's refusals name arguments as Python writes them: `residual='open'`. On the command line the same is
`--residual open`. Arguments that it has no option for keep their spelling, and it is said that they are Python's.
"""

from __future__ import annotations

import re

#: Arguments of `attnflow.explain` that are options of `attnflow explain` by the same name.
OPTIONS = frozenset(
    {
        "allow_partial",
        "audio",
        "baseline",
        "capacity",
        "exclude",
        "generate",
        "heads",
        "image",
        "method",
        "mu",
        "output",
        "players",
        "prefix",
        "processor",
        "residual",
        "samples",
        "seed",
        "signed",
        "stderr",
        "steps",
        "target",
        "target_text",
        "threads",
        "trust_remote_code",
    }
)
#: Arguments that only Python has.
PYTHON = frozenset({"inputs", "tokenizer"})

_VALUE = r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|[\w+-]+(?:\.\w+)*|"
_ARGUMENT = re.compile(rf"(?<![\w./-])(?<!\w\()({'|'.join(sorted(OPTIONS | PYTHON))})=({_VALUE})")


def spoken(message: str) -> str:
    """Returns a message of the library as the command line says it."""
    python = False

    def option(found: re.Match[str]) -> str:
        nonlocal python
        name, value = found.groups()
        if name in PYTHON:
            python = True
            return found.group()
        said = "--" + name.replace("_", "-")
        if value in ("", "True", "..."):
            return said
        return f"{said} {_written(value)}"

    said = _ARGUMENT.sub(option, message)
    return f"{said} (Arguments with = are those of attnflow.explain in Python.)" if python else said


def _written(value: str) -> str:
    """A Python literal as one would type it: names without quotes, lists with commas."""
    if value[:1] in "'\"" and re.fullmatch(r"[\w.,:+-]+", value[1:-1]):
        return value[1:-1]
    if value[:1] == "[" and re.fullmatch(r"-?\d+(, -?\d+)*", value[1:-1]):
        return value[1:-1].replace(" ", "")
    pair = re.fullmatch(r"\('(\w+)', ([\d.]+)\)", value)
    return ":".join(pair.groups()) if pair else value
