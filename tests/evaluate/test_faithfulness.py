"""The table of one's own model and texts, in the library and on the command line."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import tiny
from attnflow.cli import app
from attnflow.errors import InputError, OptionError
from attnflow.evaluate import comprehensiveness
from attnflow.evaluate.asked import METRICS, Asked
from attnflow.evaluate.baselines import scores
from attnflow.evaluate.faithfulness import Example, faithfulness
from attnflow.evaluate.prediction import prediction
from attnflow.evaluate.reading import read
from attnflow.evaluate.rows import Ours, Theirs

TEXTS = ["the quick dog jumps", "a cat sat on the mat", "who looked at the fox?"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny classifier as a directory."""
    place = tmp_path_factory.mktemp("classifier")
    tiny.build("bert-class").save_pretrained(place)
    tiny.wordpiece().save_pretrained(place)
    return place


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "160"})


def test_a_row_is_the_mean_of_its_texts():
    model, words = tiny.build("bert-class"), tiny.wordpiece()
    (line,) = faithfulness(
        model, TEXTS, [Theirs("occlusion")], tokenizer=words, metrics=["comprehensiveness"]
    )
    by_hand = []
    for text in TEXTS:
        made = prediction(model, text, tokenizer=words)
        by_hand.append(comprehensiveness(made.hiding(), scores("occlusion", made)[made.hideable]))
    assert line.metrics["comprehensiveness"].estimate == pytest.approx(np.mean(by_hand))
    assert line.examples == 3
    assert line.refused is None


def test_the_class_asked_about_is_the_label():
    model, words = tiny.build("bert-class"), tiny.wordpiece()
    rows = [Ours("flow", "conserved")]
    lines = [
        faithfulness(model, [Example(TEXTS[0], label)], rows, tokenizer=words)[0].metrics["comprehensiveness"]
        for label in (0, 1, 2)
    ]
    assert len({line.estimate for line in lines}) == 3


def test_what_is_asked_twice_is_computed_once():
    made = prediction(tiny.build("bert-class"), TEXTS[0], tokenizer=tiny.wordpiece())
    asked = Asked(made, "mask")
    shown = np.eye(len(made.hideable), dtype=bool)
    first, passes = asked(shown), made.cost.forward
    assert np.array_equal(first, asked(shown[::-1])[::-1])
    assert made.cost.forward == passes
    assert first == pytest.approx(made.hiding()(shown))


def test_every_metric_and_signed_rows():
    rows = [Ours("flow", "relevance", signed=True), Ours("shapley", "attention"), Theirs("random")]
    model, words = tiny.build("gpt2"), tiny.byte_bpe()
    lines = faithfulness(model, TEXTS[:1], rows, tokenizer=words, metrics=list(METRICS), hide="delete")
    assert all(set(line.metrics) == set(METRICS) for line in lines)
    assert [line.backward for line in lines] == [1, 0, 0]


def test_a_row_that_a_model_has_not_says_why():
    model, words = tiny.build("t5"), tiny.unigram()
    lines = faithfulness(
        model, TEXTS[:1], [Theirs("alti-rollout"), Theirs("random")], tokenizer=words, target=0
    )
    assert "one stack" in lines[0].refused
    assert lines[1].refused is None


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"examples": []}, InputError, "no texts"),
        ({"rows": []}, OptionError, "no methods"),
        ({"metrics": ["truth"]}, OptionError, "metric"),
        ({"examples": ["the cat", " "]}, InputError, "Text 2 of 2"),
        ({"hide": "blur"}, OptionError, "way of hiding"),
    ],
)
def test_refusals(options, error, match):
    asked = {"examples": TEXTS[:1], "rows": [Theirs("random")], **options}
    examples, rows = asked.pop("examples"), asked.pop("rows")
    with pytest.raises(error, match=match):
        faithfulness(tiny.build("bert-class"), examples, rows, tokenizer=tiny.wordpiece(), **asked)


def test_files_of_every_kind(tmp_path):
    lines, table, objects = (tmp_path / name for name in ("a.txt", "a.csv", "a.jsonl"))
    lines.write_text("one\n\n two \n", encoding="utf-8")
    table.write_text('label,text\n1,"one, two"\npositive,three\n,four\n', encoding="utf-8")
    objects.write_text('{"text": "one", "label": 2}\n"two"\n', encoding="utf-8")
    assert read(lines) == [Example("one"), Example("two")]
    assert read(table) == [Example("one, two", 1), Example("three", "positive"), Example("four")]
    assert read(objects) == [Example("one", 2), Example("two")]
    assert read(table, limit=1) == [Example("one, two", 1)]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.txt", "\n \n", "holds no text"),
        ("a.csv", "words\none\n", "no column 'text'; its columns: words"),
        ("a.jsonl", "{", "line 1, is no JSON"),
        ("a.jsonl", '{"label": 1}', "row 1: expected a text"),
        ("a.jsonl", '{"text": "a", "label": 0.5}', "class or token"),
    ],
)
def test_files_that_are_none(tmp_path, name, content, match):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=match):
        read(tmp_path / name)


def test_the_command_prints_and_writes_the_table(saved, tmp_path):
    texts, out = tmp_path / "texts.txt", tmp_path / "out"
    texts.write_text("\n".join(TEXTS), encoding="utf-8")
    result = run(saved, texts, "--csv", f"{out}.csv", "--json", f"{out}.json", "--limit", 2, "--signed")
    assert result.exit_code == 0, result.output
    assert "flow · conserved · signed" in result.stdout
    assert re.search(r"random +-?0\.\d{3} \(-?0\.\d{3} to -?0\.\d{3}\)", result.stdout)
    assert "2 texts, tokens masked" in result.stdout
    with open(f"{out}.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(f"{out}.json", encoding="utf-8") as file:
        objects = json.load(file)
    names = ["flow · conserved", "flow · conserved · signed", "flow · relevance · open"]
    assert [row["method"] for row in rows][:3] == [line["name"] for line in objects][:3] == names
    assert float(rows[0]["comprehensiveness"]) == objects[0]["metrics"]["comprehensiveness"]["estimate"]


def test_the_command_refuses_in_a_sentence(saved, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text(TEXTS[0], encoding="utf-8")
    for options, status, words in (
        (["--capacity", "relevants"], 1, "did you mean 'relevance'"),
        (["--metric", "truth"], 1, "Unknown metric"),
        (["--baseline", "occlussion"], 1, "did you mean 'occlusion'"),
        (["--csv", tmp_path / "nowhere" / "a.csv"], 2, "no folder"),
    ):
        result = run(saved, texts, *options)
        assert result.exit_code == status
        assert words in result.stderr.replace("\n", " ")
    assert run(saved, tmp_path / "missing.txt").exit_code == 2
