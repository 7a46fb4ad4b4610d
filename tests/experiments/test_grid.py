"""Rows of a study's table: what they are called, and that options reach the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from experiments.grid import Row

from attnflow import Trace
from attnflow.trace import Record


def test_names_tell_rows_apart():
    rows = [
        Row("flow", "attention"),
        Row("flow", "attention", prefix="closed"),
        Row("flow", "attention", layers=(2, 3)),
        Row("flow", "relevance"),
        Row("flow", "relevance", signed=True),
        Row("flow", "relevance", 0.5),
        Row("attention", "attention"),
    ]
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    assert names[0] == "flow, attention, residual 0.5"
    assert names[3:] == [
        "flow, relevance, open",
        "flow, relevance, open, signed",
        "flow, relevance, residual 0.5",
        "attention, attention",
    ]


@pytest.fixture
def trace() -> Trace:
    rng = np.random.default_rng(0)
    return Trace.from_arrays(encoder=rng.dirichlet(np.ones(5), (3, 5)))


def test_groups_are_players(trace):
    alone = Row("rollout", "attention").scores(trace, [0, 2])
    grouped = Row("rollout", "attention").scores(trace, [0, 2], [[0, 1], [2], [3, 4]])
    np.testing.assert_allclose(
        grouped, alone @ np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]).T
    )


def test_layers_start_deeper(trace):
    found = Row("rollout", "attention", 0.0, layers=(3, 3)).scores(trace, [1])
    np.testing.assert_allclose(found[0], trace.record("attention").encoder[2][1], rtol=1e-6)


def test_signed_is_support_less_opposition(trace):
    layer = np.zeros((5, 5))
    layer[0, 1], layer[0, 2] = 0.5, -0.3
    told = replace(
        trace,
        records={**trace.records, "relevance": Record((np.eye(5), np.eye(5), layer))},
        input_relevance={"encoder": np.zeros(5)},
    )
    found = Row("flow", "relevance", signed=True).scores(told, [0])
    np.testing.assert_allclose(found, [[0, 0.5, -0.3, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(Row("flow", "relevance").scores(told, [0]), [[0, 0.5, 0, 0, 0]], atol=1e-9)
