"""`attnflow serve`: reads the operator's choices and runs the server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from attnflow.commands.reporting import reporting

NETWORK = "Who can reach it"
LIMITS = "What visitors may ask for"


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL",
            help="Offer a model under a name: a local directory or a hub id. Repeat for several.",
        ),
    ] = None,
    bundled: Annotated[
        bool, typer.Option("--bundled/--no-bundled", help="Offer the bundled models that are installed.")
    ] = True,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Keep results here, so that their links outlive the server. Default: until it stops.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Default: this machine only.", rich_help_panel=NETWORK)
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, rich_help_panel=NETWORK)] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which browsers may call this server, besides `localhost` and its addresses. "
            "Repeat for several.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs at a time.", rich_help_panel=LIMITS)] = 2,
    loaded: Annotated[int, typer.Option(min=1, help="Models kept in memory.", rich_help_panel=LIMITS)] = 2,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Longest input, in tokens.", rich_help_panel=LIMITS)
    ] = 512,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest job, in seconds.", rich_help_panel=LIMITS)
    ] = 600.0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Solver threads of one job. Default: the cores shared out.", rich_help_panel=LIMITS
        ),
    ] = None,
) -> None:
    """Explain models in the browser: a web app and an API on this machine."""
    with reporting(False):
        from attnflow.errors import MissingExtraError
        from attnflow.serve.settings import Limits, Settings

        try:
            import fastapi  # noqa: F401
            import python_multipart  # noqa: F401
            import uvicorn  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "serve") from error
        from attnflow.serve.running import run

        run(
            Settings(
                models=offered(bundled, model or ()),
                results=results,
                host=host,
                port=port,
                hosts=tuple(allow_host or ()),
                workers=workers,
                loaded=loaded,
                threads=threads,
                limits=Limits(tokens=max_tokens, seconds=timeout),
            )
        )


def offered(bundled: bool, named: Iterable[str]) -> dict[str, str]:
    """The models that visitors may name: the operator's own, then the bundled ones that are installed.

    Args:
        bundled: whether bundled models are offered.
        named: `NAME=MODEL` items.

    Raises:
        OptionError: items of another form, or names given twice.
    """
    from attnflow.commands.models import is_installed
    from attnflow.models import BUNDLED
    from attnflow.serve.settings import named_models

    own = named_models(named)
    ready = [entry.name for entry in BUNDLED.values() if bundled and is_installed(entry.extra)]
    return own | {name: name for name in ready if name not in own}
