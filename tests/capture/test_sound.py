"""Clips: how they come in, when each position is, and what is kept of them."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
import transformers

import tiny
import tiny_media as media
from attnflow import explain
from attnflow.capture import capture
from attnflow.capture.sound import envelope, read_sound, resampled
from attnflow.errors import InputError

RATE = 16000
WAV = transformers.Wav2Vec2FeatureExtractor(do_normalize=False)


def struck(wave, at):
    """The same clip with a click at a time."""
    other = wave.copy()
    other[round(at * RATE) : round(at * RATE) + 8] += 3
    return other


def convolved(model, wave, extractor):
    """What the last convolution before attention makes of a clip, `[positions, width]`."""
    tensors = extractor(wave, sampling_rate=RATE, return_tensors="pt")
    whisper = model.config.model_type == "whisper"
    part = model.get_encoder().conv2 if whisper else model.base_model.feature_extractor.conv_layers[-1].conv
    kept = []
    handle = part.register_forward_hook(lambda module, args, output: kept.append(output))
    with torch.no_grad():
        (model.get_encoder() if whisper else model)(**tensors)
    handle.remove()
    return kept[0][0].T


@pytest.mark.parametrize(
    ("family", "extractor", "step"),
    [("whisper", media.ear(), 0.02), ("wav2vec2-ctc", WAV, 0.01), ("hubert", WAV, 0.01)],
)
def test_each_position_is_when_it_says(family, extractor, step):
    """A click changes positions around the one whose stretch of time it falls in."""
    model, wave = media.build(family), media.tone(0.8)
    if family != "whisper":  # the other norm takes in the whole clip
        model = media.build(family, feat_extract_norm="layer")
    trace = capture(model, audio=(wave, RATE), processor=extractor)
    times = [token.time for token in trace.encoder_tokens]
    assert all(abs(after[0] - before[1]) < 1e-6 for before, after in pairwise(times))
    assert times[5][1] - times[5][0] == pytest.approx(step)
    calm = convolved(model, wave, extractor)
    assert len(calm) == len(times)
    errors = []
    for middle in np.linspace(0.2, 0.6, 21):
        change = (convolved(model, struck(wave, middle), extractor) - calm).norm(dim=-1)
        change = change[: len([end for _, end in times if end <= 0.8])]  # the padding behind is levelled
        touched = torch.nonzero(change > 0.1 * change.max()).flatten().tolist()
        assert touched == list(range(touched[0], touched[-1] + 1))
        centre = (times[touched[0]][0] + times[touched[-1]][1]) / 2
        errors.append(centre - middle)
        assert abs(errors[-1]) <= step
    assert abs(np.mean(errors)) < step / 4


def test_whisper_hears_its_padding():
    """What a clip is padded with is heard by the model too: it stays, marked as added."""
    trace = capture(media.build("whisper"), audio=(media.tone(0.5), RATE), processor=media.ear(), generate=3)
    assert len(trace.encoder_tokens) == 50
    assert [token.special for token in trace.encoder_tokens] == [False] * 26 + [True] * 24
    assert trace.media[0].duration == 0.5
    assert trace.encoder_tokens[21].text == "0.41-0.43 s"
    assert trace.prompt == 1
    assert len(trace.decoder_tokens) == 3


def test_a_spectrogram_of_patches():
    """The audio spectrogram transformer: bands by columns, checked against its own convolution."""
    model = media.build("ast")
    values = torch.randn(1, 64, 32)
    trace = capture(model, inputs={"input_values": values}, processor=transformers.ASTFeatureExtractor())
    assert trace.media[0].grid == (3, 7)
    assert [token.text for token in trace.encoder_tokens[:2]] == ["[CLS]", "[DIST]"]
    with torch.no_grad():
        before = model(values, output_hidden_states=True).hidden_states[0][0]
    for band, column in [(0, 0), (2, 6), (1, 3)]:
        other = values.clone()
        other[:, column * 8 + 8, band * 8 + 8] += 5  # in the middle of one patch of 16 by 16
        with torch.no_grad():
            after = model(other, output_hidden_states=True).hidden_states[0][0]
        touched = torch.nonzero((after - before).abs().sum(-1) > 1e-6).flatten().tolist()
        cells = [trace.encoder_tokens[position].patch for position in touched]
        assert (band, column) in cells
        assert all(abs(r - band) <= 1 and abs(c - column) <= 1 for r, c in cells)
        centre = 0.0125 + 0.01 * (column * 8 + 7.5)
        found = next(token for token in trace.encoder_tokens if token.patch == (band, column))
        assert np.mean(found.time) == pytest.approx(centre)


@pytest.mark.parametrize("form", ["pair", "mapping", "path", "integers", "stereo", "positional", "string"])
def test_forms_of_a_clip(form, tmp_path):
    model, wave = media.build("wav2vec2-class"), media.tone(0.3)
    wave = np.round(wave * 32768).clip(-32768, 32767).astype(np.float32) / 32768
    soundfile.write(tmp_path / "clip.wav", wave, RATE, subtype="PCM_16")
    audio = {
        "pair": (wave, RATE),
        "positional": (wave, RATE),
        "mapping": {"array": wave, "sampling_rate": RATE},
        "path": tmp_path / "clip.wav",
        "string": str(tmp_path / "clip.wav"),
        "integers": ((wave * 32768).astype(np.int16), RATE),
        "stereo": (np.stack([wave, wave], axis=1), RATE),
    }[form]
    plain = capture(model, audio=(wave, RATE), processor=WAV)
    text, options = (audio, {}) if form in ("positional", "string") else (None, {"audio": audio})
    trace = capture(model, text, processor=WAV, **options)
    for one, other in zip(trace.record("attention").encoder, plain.record("attention").encoder):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert trace.media == plain.media


def test_another_rate():
    slow = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    found = resampled(read_sound((slow, 8000)), RATE)
    fast = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert found.rate == RATE
    np.testing.assert_allclose(found.samples[200:-200], fast[200:-200], atol=2e-3)


def test_envelope():
    wave = np.zeros(4000, np.float32)
    wave[1000] = -2
    found = envelope(wave)
    assert found.shape == (512,)
    assert found.argmax() == 128
    assert found.max() == 1
    assert envelope(np.zeros(5)).tolist() == [0] * 5


def test_unknown_time_is_not_made_up():
    trace = capture(media.build("hubert"), inputs={"input_values": torch.randn(1, 4000)})
    assert {token.time for token in trace.encoder_tokens} == {None}
    assert trace.encoder_tokens[3].text == "frame 3"


def test_a_result_of_a_clip():
    result = explain(media.build("wav2vec2-class"), (media.tone(0.3), RATE), processor=WAV, method="rollout")
    assert {player.kind for player in result.players} == {"frame"}
    assert result.media[0].duration == pytest.approx(0.3)
    assert result.scores.sum() == pytest.approx(1)


# -- refusals ---------------------------------------------------------------------------------------------


def test_too_long():
    with pytest.raises(
        InputError, match=r"lasts 1\.5 s, but WhisperForConditionalGeneration hears 1 s at once"
    ):
        capture(media.build("whisper"), audio=(media.tone(1.5), RATE), processor=media.ear())


@pytest.mark.parametrize(
    ("audio", "match"),
    [
        (np.zeros(100), r"with their rate: audio=\(samples, 16000\)"),
        ((np.zeros(100), "fast"), "sampling rate 'fast'"),
        ((np.zeros((2, 3, 4)), RATE), r"\[2, 3, 4\]"),
        ((np.array([]), RATE), "expected samples"),
        ((np.array([np.nan]), RATE), "NaN"),
        ("nothing.wav", "no file"),
    ],
)
def test_no_clip(audio, match):
    with pytest.raises(InputError, match=match):
        capture(media.build("hubert"), audio=audio, processor=WAV)


def test_a_file_that_is_no_sound(tmp_path):
    (tmp_path / "clip.wav").write_text("silence")
    with pytest.raises(InputError, match="no sound file that can be read"):
        capture(media.build("hubert"), audio=tmp_path / "clip.wav", processor=WAV)


def test_sound_for_a_model_that_does_not_hear():
    with pytest.raises(InputError, match="ViTModel hears no sound: it takes pixel_values"):
        capture(media.build("vit"), audio=(media.tone(0.1), RATE), processor=WAV)
    with pytest.raises(InputError, match="BertModel hears no sound"):
        capture(tiny.build("bert"), audio=(media.tone(0.1), RATE), processor=WAV)


def test_a_padded_clip():
    """Padding that the model knows of is cropped."""
    model = media.build("wav2vec2-class", feat_extract_norm="layer")
    wave = torch.tensor(media.tone(0.3))[None]
    padded = torch.cat([wave, torch.zeros(1, 1600)], dim=1)
    mask = torch.cat([torch.ones_like(wave, dtype=torch.long), torch.zeros(1, 1600, dtype=torch.long)], dim=1)
    trace = capture(model, inputs={"input_values": padded, "attention_mask": mask}, processor=WAV)
    alone = capture(model, inputs={"input_values": wave}, processor=WAV)
    assert trace.encoder_tokens == alone.encoder_tokens
