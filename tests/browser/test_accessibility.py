"""axe-core finds nothing serious, in light and dark."""

import pytest
from accessibility import violations
from test_app import explain


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_app_and_reference(visit, served, scheme):
    page = visit(served, allowed=served, scheme=scheme)
    page.wait_for_selector("#methods input")
    assert violations(page) == []
    explain(page)
    assert violations(page) == []
    assert violations(visit(served + "/docs", allowed=served, scheme=scheme)) == []
