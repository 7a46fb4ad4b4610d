import csv
import sys

import numpy as np
import pytest

from attnflow import FlowNetwork, attribute
from attnflow.errors import MissingExtraError, OptionError


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    C = 0.5 * rng.dirichlet(np.ones(4), size=(2, 4)) + 0.5 * np.eye(4)
    network = FlowNetwork.encoder(C, tokens=["a", 'b "quoted", comma', "c\nline", "naïve 🙂"])
    return attribute(network, method="shapley", targets=[0, [1, 2]], samples=64)


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_frames_hold_every_number(result, backend):
    pytest.importorskip(backend)
    frame = result.to_frame(backend)
    assert frame.shape[0] == 8
    for column in ("score", "lower", "upper", "stderr"):
        name = "scores" if column == "score" else column
        np.testing.assert_array_equal(np.array(frame[column]), getattr(result, name).ravel())
    assert list(frame["player"])[:4] == [player.label for player in result.players]
    assert list(frame["target_position"])[4] == "1 2"


def test_csv_reads_back_exactly(result, tmp_path):
    result.to_csv(tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == result.scores.ravel().tolist()
    assert [row["player"] for row in rows[:4]] == [player.label for player in result.players]


def test_unknown_backend_suggests(result):
    with pytest.raises(OptionError, match="did you mean 'polars'"):
        result.to_frame("polar")


def test_missing_extra_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"attnflow\[frame\]"):
        result.to_frame()
