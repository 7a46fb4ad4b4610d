"""The documentation's examples say what the library does."""

import doctest
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", ["docs/methods.md"])
def test_examples(page):
    failed, tried = doctest.testfile(
        str(ROOT / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 0
    assert failed == 0


def test_custom_models():
    """All of the page where annalog is installed, as `make realmodels` does; else up to the real case."""
    text = (ROOT / "docs/custom-models.md").read_text(encoding="utf-8")
    if find_spec("annalog") is None or find_spec("rdkit") is None:
        text = text[: text.index("## A real case")]
    page = doctest.DocTestParser().get_doctest(text, {}, "docs/custom-models.md", None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(page)
    assert result.attempted > 10
    assert result.failed == 0
