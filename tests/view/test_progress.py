"""Progress bars show only where someone is watching."""

import io
import sys

from attnflow.view.progress import progress_bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_silent_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bars() as report:
        assert report is None
    assert sys.stderr.getvalue() == ""


def test_quiet_even_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bars(quiet=True) as report:
        assert report is None
    assert sys.stderr.getvalue() == ""


def test_names_the_stage_and_counts(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bars() as report:
        report("loading the [model]", 0, None)
        report("sampled orders", 0, 1200)
        report("sampled orders", 600, 1200)
    out = sys.stderr.getvalue()
    assert "Sampled orders" in out
    assert "600 of 1,200" in out
