"""Patches are shaded where they are, sound is drawn against time."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

import results
from attnflow.attribution import Player
from attnflow.media import Medium
from attnflow.view.figure.media import OPAQUE

matplotlib.use("agg")
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
IMAGE = Medium("image", "image", (2, 3), (20, 30), PICTURE)
CLIP = Medium("audio", "audio", duration=0.5, envelope=np.array([0.2, 1.0, 0.4], dtype=np.float32))


def of_image(scores=(0.1, 0.0, 0.05, 0.2, -0.1, 0.4, 0.3), **changes):
    players = [Player("[CLS]", (("encoder", 0),), kind="special")]
    players += [
        Player(
            f"patch {i // 3},{i % 3}",
            (("encoder", i + 1),),
            kind="patch",
            medium=0,
            patches=((i // 3, i % 3),),
        )
        for i in range(6)
    ]
    result = results.result_of(players, [list(scores)], [results.Target((0,), label="cat")])
    return replace(result, media=(IMAGE,), **changes)


def of_sound():
    times = [(0.0, 0.1), (0.1, 0.3), (0.3, 0.6)]
    players = [
        Player(f"{start}-{end} s", (("encoder", i),), kind="frame", medium=0, time=(start, end))
        for i, (start, end) in enumerate(times)
    ]
    players.append(Player("hello", (("decoder", 0),)))
    result = results.result_of(players, [[0.1, 0.4, 0.2, 0.3]], [results.Target((0,), label="world")])
    return replace(result, media=(CLIP,))


def overlay(ax):
    return next(np.asarray(image.get_array()) for image in ax.get_images() if image.get_gid() == "patches 0")


def test_every_patch_is_shaded_by_its_score():
    ax = of_image().plot()
    shades = overlay(ax)
    expected = np.abs([0.0, 0.05, 0.2, -0.1, 0.4, 0.3]).reshape(2, 3) / 0.4 * OPAQUE
    np.testing.assert_allclose(shades[..., 3], expected, atol=1e-6)
    against, support = shades[1, 0], shades[1, 1]
    assert against[0] > against[2]  # orange
    assert support[2] > support[0]  # blue
    picture = next(image for image in ax.get_images() if image.get_gid() is None)
    np.testing.assert_array_equal(np.asarray(picture.get_array()), PICTURE)


def test_patches_are_no_text_and_special_tokens_are():
    written = [text.get_text() for text in of_image().plot().texts]
    assert not any(text.startswith("patch") for text in written)
    assert {"[CLS]", "image"} <= set(written)


def test_a_region_is_shaded_as_one():
    result = of_image()
    cells = ((0, 0), (0, 1), (0, 2))
    region = replace(result.players[1], label="3 patches", patches=cells)
    kept = (region, *result.players[4:])
    grouped = replace(
        results.result_of(kept, [[0.2, 0.1, 0.1, 0.4]], [results.Target((0,), label="cat")]), media=(IMAGE,)
    )
    alphas = overlay(grouped.plot())[..., 3]
    assert [alphas[cell] for cell in cells] == pytest.approx([0.2 / 0.4 * OPAQUE] * 3)


def test_without_a_picture_the_grid_stands_alone():
    ax = replace(of_image(), media=(replace(IMAGE, thumbnail=None),)).plot()
    assert len(ax.get_images()) == 1


def test_bands_of_a_spectrogram_start_at_the_bottom():
    sound = replace(IMAGE, kind="audio", name="audio", thumbnail=None)
    upright, flipped = overlay(of_image().plot()), overlay(replace(of_image(), media=(sound,)).plot())
    np.testing.assert_allclose(flipped, upright[::-1])


def test_sound_is_drawn_against_time():
    ax = of_sound().plot()
    bars = next(part for part in ax.collections if part.get_gid() == "frames 0").get_paths()
    edges = np.array([[path.vertices[:, 0].min(), path.vertices[:, 0].max()] for path in bars])
    width = edges.max()
    np.testing.assert_allclose(
        edges / width, [[0, 0.2], [0.2, 0.6], [0.6, 1.0]], atol=1e-9
    )  # cut at the clip's end
    heights = np.array([np.ptp(path.vertices[:, 1]) for path in bars])
    np.testing.assert_allclose(heights / heights.max(), [0.25, 1.0, 0.5])
    written = [text.get_text() for text in ax.texts]
    assert {"0.00 s", "0.25 s", "0.50 s", "hello"} <= set(written)


def test_panels_fit_an_axes_of_the_callers():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(3, 2))
    of_image().plot(ax=ax)
    low, high = ax.get_ylim()[1], ax.get_ylim()[0]
    for image in ax.get_images():
        extent = image.get_extent()
        assert low <= min(extent[2:]) < max(extent[2:]) <= high
    plt.close("all")
