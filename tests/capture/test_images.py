"""Pictures: how they come in, which position is which patch, and what is kept of them."""

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
import tiny_media as media
from attnflow import explain
from attnflow.capture import capture
from attnflow.capture.images import read_image
from attnflow.errors import InputError, OptionError
from attnflow.trace import Trace

EYE = media.eye()


def pixels(seed=0):
    return torch.randn(1, 3, media.SIDE, media.SIDE, generator=torch.Generator().manual_seed(seed))


def changed(model, one, other):
    """Positions whose embedding differs between two pictures, before any attention."""
    with torch.no_grad():
        before, after = (model(**x, output_hidden_states=True).hidden_states[0][0] for x in (one, other))
    return torch.nonzero((before - after).abs().sum(-1) > 1e-6).flatten().tolist()


PATCHES = [f"patch {r},{c}" for r in range(3) for c in range(3)]


@pytest.mark.parametrize(
    ("family", "front", "behind"),
    [
        ("vit", ["[CLS]"], []),
        ("deit", ["[CLS]", "[DIST]"], []),
        ("dinov2", ["[CLS]"], []),
        ("dinov2-registers", ["[CLS]", *(f"register {n}" for n in range(1, 5))], []),
        ("dinov3", ["[CLS]", "register 1", "register 2", "register 3"], []),
        ("beit", ["[CLS]"], []),
        ("ijepa", [], []),
        ("siglip-vision", [], []),
        ("clip-vision", ["[CLS]"], []),
        ("yolos", ["[CLS]"], ["query 0", "query 1", "query 2", "query 3"]),
    ],
)
def test_each_position_is_the_patch_that_it_says(family, front, behind):
    """Changing one patch of the picture changes the embedding of the position with its name, and no other."""
    model, picture = media.build(family), pixels()
    trace = capture(model, inputs={"pixel_values": picture})
    assert [token.text for token in trace.encoder_tokens] == [*front, *PATCHES, *behind]
    assert [token.special for token in trace.encoder_tokens] == [True] * len(front) + [False] * 9 + [
        True
    ] * len(behind)
    assert trace.media[0].grid == (3, 3)
    for row, column in [(0, 0), (0, 2), (2, 1)]:
        other = picture.clone()
        other[..., row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] += 1
        (position,) = changed(model, {"pixel_values": picture}, {"pixel_values": other})
        assert trace.encoder_tokens[position].patch == (row, column)


def test_a_shuffling_model():
    """A masked autoencoder drops and shuffles patches: positions are named after what they hold."""
    model, picture = media.build("mae"), pixels()
    noise = torch.rand(1, 9, generator=torch.Generator().manual_seed(3))
    trace = capture(model, inputs={"pixel_values": picture, "noise": noise})
    kept = noise[0].argsort()[:6].tolist()
    assert [token.patch for token in trace.encoder_tokens] == [None, *((k // 3, k % 3) for k in kept)]


def test_a_film():
    model, film = media.build("videomae"), torch.randn(1, 4, 3, 24, 24)
    trace = capture(model, inputs={"pixel_values": film})
    assert [medium.name for medium in trace.media] == ["frames 1-2", "frames 3-4"]
    for frame, row, column in [(0, 0, 1), (3, 2, 0)]:
        other = film.clone()
        other[:, frame, :, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] += 1
        (position,) = changed(model, {"pixel_values": film}, {"pixel_values": other})
        token = trace.encoder_tokens[position]
        assert (token.medium, token.patch) == (frame // 2, (row, column))
        assert token.text == f"{trace.media[frame // 2].name} patch {row},{column}"


def test_a_picture_that_is_no_multiple_of_the_patch():
    """A larger picture, cut by the convolution: the thumbnail is what the grid covers."""
    model = media.build("dinov2")
    picture = torch.rand(1, 3, 30, 45)
    trace = capture(model, inputs={"pixel_values": picture})
    (medium,) = trace.media
    assert (medium.grid, medium.size, medium.thumbnail.shape) == ((3, 5), (24, 40), (24, 40, 3))


@pytest.mark.parametrize("form", ["array", "float", "pil", "path", "grey", "alpha", "keyword"])
def test_forms_of_a_picture(form, tmp_path):
    model, array = media.build("vit-class"), media.picture(30, 40)
    expected = np.asarray(Image.fromarray(array))
    options = {}
    image = {
        "array": lambda: array,
        "float": lambda: array / 255,
        "pil": lambda: Image.fromarray(array),
        "grey": lambda: array[..., 0],
        "alpha": lambda: np.dstack([array, np.full((30, 40), 255, np.uint8)]),
    }.get(form, lambda: None)()
    if form == "grey":
        expected = np.repeat(array[..., :1], 3, axis=2)
    if form in ("path", "keyword"):
        Image.fromarray(array).save(tmp_path / "picture.png")
        image = str(tmp_path / "picture.png")
    if form == "keyword":
        image, options = None, {"image": tmp_path / "picture.png"}
    trace = capture(model, image, processor=EYE, **options)
    wanted = EYE(images=Image.fromarray(expected), return_tensors="pt")
    same = capture(model, inputs=wanted, processor=EYE)
    for one, other in zip(trace.record("attention").encoder, same.record("attention").encoder):
        np.testing.assert_array_equal(one, other)
    assert trace.media == same.media


def test_the_thumbnail_is_the_picture():
    """An untouched picture comes back from the processor's normalisation as it was."""
    array = media.picture()
    trace = capture(media.build("vit"), array, processor=EYE)
    np.testing.assert_allclose(trace.media[0].thumbnail.astype(int), array, atol=1)
    large = np.full((media.SIDE * 20, media.SIDE * 20, 3), 7, np.uint8)
    processor = media.eye()
    processor.size = {"height": 480, "width": 480}
    trace = capture(media.build("vit", image_size=480, patch_size=160), large, processor=processor)
    assert trace.media[0].thumbnail.shape == (224, 224, 3)
    np.testing.assert_allclose(trace.media[0].thumbnail, 7, atol=1)
    assert trace.media[0].size == (480, 480)


def test_a_result_of_a_picture(tmp_path):
    result = explain(
        media.build("vit-class"), media.picture(), processor=EYE, method="rollout", exclude="special"
    )
    assert [player.patches for player in result.players] == [((r, c),) for r in range(3) for c in range(3)]
    assert result.media[0].grid == (3, 3)
    assert result.targets[0].label.startswith("LABEL_")
    several = explain(
        media.build("vit-class"), [media.picture(), media.picture(seed=1)], processor=EYE, method="rollout"
    )
    assert len(several) == 2
    assert several[0].media != several[1].media


def test_a_trace_of_a_picture_is_kept(tmp_path):
    trace = capture(media.build("vit"), media.picture(), processor=EYE)
    trace.save(tmp_path / "trace")
    loaded = Trace.load(tmp_path / "trace")
    assert (loaded.encoder_tokens, loaded.media) == (trace.encoder_tokens, trace.media)


def test_a_directory_with_its_processor(tmp_path):
    media.build("vit-class").save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"needs an image processor.*processor=transformers"):
        capture(tmp_path, media.picture())
    EYE.save_pretrained(tmp_path)
    trace = capture(tmp_path, media.picture())
    assert trace.media == capture(tmp_path, media.picture(), processor=str(tmp_path)).media
    assert trace.encoder_tokens[1].text == "patch 0,0"


# -- which tower ------------------------------------------------------------------------------------------


def test_the_tower_that_reads_what_was_given():
    clip = media.build("clip")
    seen = capture(clip, media.picture(), processor=EYE)
    assert seen.provenance["class"] == "CLIPVisionModel"
    alone = capture(clip.vision_model, media.picture(), processor=EYE)
    np.testing.assert_array_equal(seen.record("attention").encoder, alone.record("attention").encoder)
    read = capture(clip, inputs={"input_ids": [1, 7, 8, 9, 3]})
    assert read.provenance["class"] == "CLIPTextModel"
    assert read.architecture == "decoder"
    text = capture(clip, "the quick dog", tokenizer=tiny.unigram(start=True))
    assert text.text[slice(*text.decoder_tokens[1].span)] == text.decoder_tokens[1].text


def test_both_towers_at_once():
    with pytest.raises(
        InputError, match=r"CLIPModel has a tower each.*found text and image.*model\.text_model"
    ):
        capture(media.build("clip"), "a dog", image=media.picture(), processor=EYE, tokenizer=tiny.unigram())
    with pytest.raises(InputError, match="no attention runs between"):
        capture(media.build("siglip"), inputs={"input_ids": [1, 2], "pixel_values": pixels()})


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.zeros((3, 24, 24), np.uint8), r"shape \[3, 24, 24\].*height, width"),
        (np.zeros((24, 24, 3)) + 300.0, "from 300 to 300"),
        (np.zeros((24, 24, 3), np.int64) - 1, "int64"),
        (3, "found int"),
        ("nothing.png", "no file 'nothing.png'"),
    ],
)
def test_no_picture(image, match):
    with pytest.raises(InputError, match=match):
        read_image(image)


def test_a_file_that_is_no_picture(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("not a picture")
    with pytest.raises(InputError, match="no image file that pillow can read"):
        capture(media.build("vit"), str(path), processor=EYE)


def test_text_for_a_model_that_sees():
    with pytest.raises(InputError, match=r"ViTModel reads images, not text, and there is no file 'a dog'"):
        capture(media.build("vit"), "a dog")


def test_a_picture_for_a_model_that_reads():
    with pytest.raises(InputError, match="BertModel reads no images: it takes"):
        capture(tiny.build("bert"), image=media.picture(), processor=EYE)


def test_a_processor_that_does_not_fit():
    with pytest.raises(InputError, match=r"WhisperFeatureExtractor.*expected|needs an image processor"):
        capture(media.build("vit"), media.picture(), processor=media.ear())
    with pytest.raises(InputError, match=r"processor: expected a processor of transformers.*found int"):
        capture(media.build("vit"), media.picture(), processor=5)
    with pytest.raises(InputError, match=r"tokenizer: expected a tokenizer or the place of one, found int"):
        capture(tiny.build("bert"), "a dog", tokenizer=5)
    with pytest.raises(InputError, match="No processor can be loaded from"):
        capture(media.build("vit"), media.picture(), processor="./nowhere")


def test_the_same_thing_twice():
    with pytest.raises(OptionError, match="both hold an image"):
        capture(media.build("vit"), media.picture(), image=media.picture(), processor=EYE)
    with pytest.raises(OptionError, match="image and inputs were both given"):
        capture(media.build("vit"), image=media.picture(), inputs={"pixel_values": pixels()})
    with pytest.raises(InputError, match="found 2 pictures"):
        capture(media.build("vit"), image=[media.picture(), media.picture()], processor=EYE)


def test_image_and_sound_at_once():
    with pytest.raises(InputError, match="ViTModel hears no sound"):
        capture(media.build("vit"), image=media.picture(), audio=(media.tone(0.1), 16000), processor=EYE)
