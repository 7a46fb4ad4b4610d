"""The documentation's examples say what the library does, and its pages name what there is."""

import ast
import doctest
import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import attnflow

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    "page",
    [
        "docs/methods.md",
        "docs/media.md",
        "docs/api/extending.md",
        pytest.param("docs/tutorial.md", marks=pytest.mark.slow),
    ],
)
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


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch):
    import matplotlib
    import matplotlib.pyplot as plt

    matplotlib.use("agg")
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    names = {}
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        exec(compile(cell, "notebook.ipynb", "exec"), names)
    assert len(cells) >= 5
    assert names["result"].top(1)[0][0] == "brilliant"
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    plt.close("all")


def blocks():
    """Every block of Python in the pages, but for doctests, which run."""
    for page in [ROOT / "README.md", *PAGES]:
        for number, code in enumerate(
            re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        ):
            if ">>>" not in code:
                yield pytest.param(code, id=f"{page.name}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_other_examples_name_what_there_is(code):
    """They need models that are not here; what they call of attnflow exists and takes these arguments."""
    import inspect

    for node in ast.walk(ast.parse(code)):
        if not (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "attnflow"
        ):
            continue
        assert node.attr in attnflow.__all__
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        spelled = ast.unparse(call.func).split(".")
        if len(spelled) == 2 and spelled[0] == "attnflow":
            known = inspect.signature(getattr(attnflow, spelled[1])).parameters
            assert {keyword.arg for keyword in call.keywords if keyword.arg} <= set(known)


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: page.stem)
def test_the_reference_names_what_there_is(page):
    for path in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M):
        parts = path.split(".")
        for split in range(len(parts), 0, -1):
            try:
                found = import_module(".".join(parts[:split]))
            except ModuleNotFoundError:
                continue
            for name in parts[split:]:
                found = getattr(found, name)
            break
        assert found is not None


def test_the_reference_holds_every_public_name():
    written = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = {path.rsplit(".", 1)[-1] for path in re.findall(r"^::: (\S+)", written, re.M)}
    missing = set(attnflow.__all__) - documented - {"__version__", "AttnflowError"}
    assert not missing
    assert "attnflow.errors" in written  # which holds AttnflowError and what derives from it


def test_every_picture_is_there_and_small():
    named = {
        path
        for page in PAGES
        for path in re.findall(r"\((?:\.\./)?(pictures/[\w-]+\.\w+)", page.read_text(encoding="utf-8"))
    }
    there = {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").iterdir()}
    assert named == there
    assert max(path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()) < 500_000
