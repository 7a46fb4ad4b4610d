"""Refusals on the command line name its options."""

from __future__ import annotations

import pytest
import typer

from attnflow.cli import app
from attnflow.spoken import OPTIONS, PYTHON, spoken


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("residual=1.5: expected a number", "--residual 1.5: expected a number"),
        ("Use residual='open', which lets them", "Use --residual open, which lets them"),
        ("allow_partial=True leaves that out.", "--allow-partial leaves that out."),
        ("Give samples= or stderr=, not both.", "Give --samples or --stderr, not both."),
        ("heads=[0, 99]: found a layer with 2 heads", "--heads 0,99: found a layer with 2 heads"),
        ("players=('blocks', 2) needs an image", "--players blocks:2 needs an image"),
        ("given without generate=N.", "given without --generate N."),
        ("output='good news': two tokens", "--output 'good news': two tokens"),
        ("steps=1: a line of one point", "--steps 1: a line of one point"),
        ("a file at ./steps=1 is as it is", "a file at ./steps=1 is as it is"),
        ("or capture(heads='all') and build", "or capture(heads='all') and build"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_arguments_become_options(said, expected):
    assert spoken(said) == expected


def test_what_only_python_has_is_said_to_be_so():
    assert spoken("pass tokenizer=, or ids as inputs=.").endswith("attnflow.explain in Python.)")


def test_every_option_exists():
    explain = typer.main.get_command(app).commands["explain"]
    known = {name for parameter in explain.params for name in parameter.opts}
    assert {"--" + name.replace("_", "-") for name in OPTIONS} <= known
    assert not {"--" + name for name in PYTHON} & known
