"""What a command says when it cannot go on: one line, and an exit code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def reporting(quiet: bool) -> Iterator[None]:
    """Turns refusals and interrupts into one line and an exit code, and warnings into one line each."""
    from attnflow.errors import AttnflowError
    from attnflow.spoken import spoken

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        if not quiet:
            say(f"warning: {spoken(str(message))}")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = tell
            yield
    except AttnflowError as error:
        say(spoken(str(error)))
        raise typer.Exit(1) from None
    except BaseException as error:
        if not is_interrupt(error):
            raise
        say("interrupted.")
        raise typer.Exit(130) from None


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what an import made of one."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def say(message: str) -> None:
    """One line on stderr."""
    from attnflow.view.passage import visible

    typer.echo(f"attnflow: {visible(' '.join(message.split()))}", err=True)
