"""Images and clips in traces and results: places, names, drawing, files of before and after."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attnflow.attribution import Attribution
from attnflow.errors import FormatError, InputError
from attnflow.media import Medium, joined, patches_name, time_name
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.storage import from_dict, to_dict
from attnflow.trace import Token, Trace

PICTURE = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)


def medium(**changes):
    return replace(Medium("image", "image", (2, 3), (14, 21), PICTURE), **changes)


@pytest.fixture
def trace():
    clip = Medium("audio", "audio", duration=0.5, envelope=np.array([0.5, 1.0, 0.25], dtype=np.float32))
    tokens = [Token("[CLS]", special=True)]
    tokens += [Token(f"patch {r},{c}", medium=0, patch=(r, c)) for r in range(2) for c in range(3)]
    tokens += [
        Token("0.00-0.02 s", medium=1, time=(0.0, 0.02)),
        Token("0.02-0.04 s", medium=1, time=(0.02, 0.04)),
    ]
    weights = np.random.default_rng(1).dirichlet(np.ones(9), (2, 9))
    return Trace.from_arrays(weights, tokens=tokens, media=[medium(), clip])


def test_png_is_the_thumbnail():
    image = Image.open(io.BytesIO(medium().png()))
    assert image.format == "PNG"
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PICTURE)
    assert medium(thumbnail=None).png() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "film"},
        {"grid": (0, 3)},
        {"size": (1, 2, 3)},
        {"thumbnail": PICTURE.astype(float)},
        {"thumbnail": PICTURE[..., 0]},
        {"envelope": np.ones((2, 2), np.float32)},
        {"envelope": np.array([np.nan], np.float32)},
        {"duration": -1.0},
    ],
)
def test_media_that_cannot_be(changes):
    with pytest.raises(InputError):
        medium(**changes)


@pytest.mark.parametrize(
    ("token", "match"),
    [
        (Token("a", medium=1), "medium 1, and there are 1"),
        (Token("a", patch=(0, 0)), "no medium"),
        (Token("a", medium=0, patch=(2, 0)), "outside of the grid"),
        (Token("a", medium=0, patch=(0, -1)), "outside of the grid"),
    ],
)
def test_tokens_that_point_nowhere(token, match):
    with pytest.raises(InputError, match=match):
        Trace.from_arrays(np.ones((1, 1, 1)), tokens=[token], media=[medium()])


def test_names():
    assert patches_name([(1, 2)]) == "patch 1,2"
    assert patches_name([(0, 1), (0, 2), (1, 1), (1, 2)]) == "patches 0,1 to 1,2"
    assert patches_name([(0, 0), (2, 2)]) == "2 patches around 1,1"
    assert time_name(0.42, 0.44) == "0.42-0.44 s"
    assert joined([(0.2, 0.4), (0.0, 0.2)]) == (0.0, 0.4)
    assert joined([(0.0, 0.1), (0.2, 0.3)]) is None


def test_a_trace_keeps_them(trace, tmp_path):
    trace.save(tmp_path / "trace")
    loaded = Trace.load(tmp_path / "trace")
    assert loaded.encoder_tokens == trace.encoder_tokens
    assert loaded.media == trace.media
    assert loaded.media != tuple(reversed(trace.media))
    assert loaded.causal


def test_a_result_keeps_them(trace, tmp_path):
    result = attribute(FlowNetwork.from_trace(trace), method="rollout", targets=[0])
    assert [player.kind for player in result.players] == ["special"] + ["patch"] * 6 + ["frame"] * 2
    assert result.players[4].patches == ((1, 0),)
    assert result.players[8].time == (0.02, 0.04)
    result.save(tmp_path / "result.json", network=True)
    loaded = Attribution.load(tmp_path / "result.json")
    assert loaded.players == result.players
    assert loaded.media == result.media == trace.media
    assert loaded.network.media == trace.media


def test_files_of_before(trace):
    """Results saved before players had places load as they did."""
    data = json.loads(
        json.dumps(to_dict(attribute(FlowNetwork.from_trace(trace), method="rollout", targets=[0])))
    )
    del data["media"]
    for player in data["players"]:
        for name in ("medium", "patches", "time"):
            del player[name]
    loaded = from_dict(data)
    assert loaded.media == ()
    assert {player.patches for player in loaded.players} == {()}


def test_a_damaged_picture(trace):
    data = to_dict(attribute(FlowNetwork.from_trace(trace), method="rollout", targets=[0]))
    data["media"][0]["thumbnail"]["shape"] = [7, 5, 4]
    with pytest.raises(FormatError, match="damaged"):
        from_dict(data)


def test_groups_know_their_place(trace):
    result = attribute(FlowNetwork.from_trace(trace), method="rollout", targets=[0])
    grouped = result.group([(1, 2, 4, 5), (7, 8), (0, 3)])
    named = {player.label: player for player in grouped.players}
    assert named["patches 0,0 to 1,1"].patches == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert named["patches 0,0 to 1,1"].medium == 0
    assert named["patches 0,0 to 1,1"].kind == "patch"
    assert named["0.00-0.04 s"].time == (0.0, 0.04)
    assert named["[CLS] patch 0,2"].medium is None


def test_a_decoder_that_reads_ahead_must_say_so():
    weights = np.full((1, 3, 3), 1 / 3)
    with pytest.raises(InputError, match="causal=False"):
        Trace.from_arrays(decoder=weights)
    trace = Trace.from_arrays(decoder=weights, causal=False)
    assert not trace.causal
