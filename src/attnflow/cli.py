"""The command line: parses, calls the library, prints.

Nothing heavy is imported until a command runs, so that `attnflow --help` answers at once. Refusals of the
library are one line on stderr and exit code 1, wrong usage is exit code 2, an interrupt is 130; anything
else is a bug and keeps its traceback.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from attnflow.commands.evaluate import evaluate
from attnflow.commands.explain import EPILOG, explain
from attnflow.commands.models import models
from attnflow.serve.command import serve

HELP = """
Which inputs a Transformer's prediction draws on, by exact maximum flow.

Start with `attnflow models`, then explain a sentence with one of them.
"""

app = typer.Typer(
    name="attnflow",
    help=HELP,
    epilog=EPILOG,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Runs the command line; never returns."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # tokens that the terminal cannot show
    app(prog_name="attnflow")


def _version(wanted: bool) -> None:
    if wanted:
        from attnflow import __version__

        typer.echo(f"attnflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command(epilog=EPILOG)(explain)
app.command()(models)
app.command()(evaluate)
app.command()(serve)


if __name__ == "__main__":
    main()
