"""The vision study: which patches an object covers; a head that asks about one direction."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from experiments.vision import pictures


def test_a_patch_is_covered_from_one_half_on():
    mask = np.zeros((4, 6), bool)
    mask[:2, :2] = True
    mask[0, 2:4] = True
    mask[3, 5] = True
    assert pictures.covered(mask, 2).tolist() == [[True, True, False], [False, False, False]]


def test_composites_have_names_of_their_own():
    names = pictures.names(75)
    assert len(set(names)) == 75
    assert names[30] == f"{pictures.DRAWINGS[0]} 1"


def test_a_silhouette_is_its_own_mask():
    pytest.importorskip("skimage")
    picture = pictures.photograph("horse")
    assert picture.pixels.shape == (pictures.SIZE, pictures.SIZE, 3)
    assert picture.pixels[picture.mask].mean() < 40 < 200 < picture.pixels[~picture.mask].mean()


def test_the_head_measures_cls_along_a_direction():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from experiments.packaged import Packaged
    from experiments.vision.scores import headed

    config = transformers.Dinov2Config(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=1, image_size=28, patch_size=14
    )
    backbone = transformers.Dinov2Model(config).eval()
    pixels, direction = torch.rand(1, 3, 28, 28), torch.rand(12)
    logits = headed(Packaged("tiny", backbone, "", ""), direction)(pixels).logits[0]
    cls = backbone(pixels).last_hidden_state[0, 0]
    assert logits[0].item() == pytest.approx((cls @ direction / direction.norm()).item(), abs=1e-5)
    assert logits[1].item() == 0
