import csv

import pytest

from attnflow.evaluate import Interval
from experiments import report

TABLE = report.Table(
    "scores",
    ["method", "auroc", "count"],
    [["flow | open", Interval(0.9, 0.85, 0.951, 0.95), 12345], ["none", None, 3]],
    2,
)


def test_markdown_rounds_and_escapes():
    assert report.markdown(TABLE).splitlines() == [
        "| method | auroc | count |",
        "|---|---:|---:|",
        "| flow \\| open | 0.90 (0.85–0.95) | 12,345 |",
        "| none | – | 3 |",
    ]


def test_csv_keeps_everything():
    rows = list(csv.reader(report.as_csv(TABLE).splitlines()))
    assert rows == [
        ["method", "auroc", "auroc lower", "auroc upper", "count"],
        ["flow | open", "0.9", "0.85", "0.951", "12345"],
        ["none", "", "", "", "3"],
    ]


def test_tables_replace_what_stood_between_their_marks(tmp_path):
    page = tmp_path / "docs" / "studies" / "s.md"
    page.parent.mkdir(parents=True)
    page.write_text("before\n<!-- table: scores -->\nold\n<!-- end: scores -->\nafter\n")
    for _ in range(2):
        report.publish("s", "python -m experiments.s", [TABLE], root=tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("0.90") == 1
    assert "*`python -m experiments.s`*" in text
    assert (tmp_path / "experiments" / "results" / "s" / "scores.csv").exists()


def test_a_page_without_place_is_refused_before_anything_is_written(tmp_path):
    page = tmp_path / "docs" / "studies" / "s.md"
    page.parent.mkdir(parents=True)
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="<!-- table: scores -->"):
        report.publish("s", "c", [TABLE], root=tmp_path)
    assert not (tmp_path / "experiments").exists()


def test_ragged_rows_are_refused():
    with pytest.raises(ValueError, match="1 cells under 2"):
        report.Table("t", ["a", "b"], [[1]])


def test_figures_are_the_same_bytes_for_the_same_data(tmp_path):
    pytest.importorskip("matplotlib")
    found = []
    for _ in range(2):
        with report.figure("s", "f", root=tmp_path) as drawn:
            drawn.subplots().plot([1, 2, 3], label="a")
        found.append((tmp_path / "docs" / "studies" / "figures" / "s-f.svg").read_bytes())
    assert found[0] == found[1]
    assert b"<svg" in found[0]


def test_estimates_are_drawn_where_they_are_and_missing_ones_are_not(tmp_path):
    found = {"a": Interval(0.4, 0.3, 0.6, 0.95), "b": Interval(0.7, 0.65, 0.8, 0.95)}
    with report.figure("s", "f", root=tmp_path) as drawn:
        axes = drawn.subplots()
        report.estimates(axes, {"both": found, "one": {"b": found["b"]}}, ["a", "b"], chance=0.5)
        points = {line.get_label(): line for line in axes.containers}
        assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
        both, one = (points[name].lines[0] for name in ("both", "one"))
        assert both.get_xdata() == pytest.approx([0.4, 0.7])
        assert one.get_xdata() == pytest.approx([0.7])
        assert both.get_ydata()[1] > one.get_ydata()[0]  # apart, within the line of the method
        (bars,) = points["both"].lines[2]
        assert bars.get_segments()[0][:, 0] == pytest.approx([0.3, 0.6])
    svg = (tmp_path / "docs" / "studies" / "figures" / "s-f.svg").read_text()
    assert ">both</text>" in svg
