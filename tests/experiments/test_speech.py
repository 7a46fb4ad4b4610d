"""The speech study: when words are spoken, which of them were understood, how a method's scores are graded."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from experiments.packaged.clips import RATE
from experiments.speech import hearing, scores, spoken
from experiments.speech.__main__ import graded, inside


def sound(*parts: tuple[float, float]) -> np.ndarray:
    """Noise of these seconds and loudnesses, one behind the other."""
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.uniform(-loud, loud, round(seconds * RATE)) for seconds, loud in parts]
    ).astype(np.float32)


def test_two_words_lie_around_the_longest_quiet_stretch():
    clip = sound((0.2, 0), (0.3, 0.5), (0.05, 0), (0.1, 0.5), (0.25, 0), (0.4, 0.5), (0.1, 0))
    (first, cut), (second, last) = spoken.two_words(clip)
    np.testing.assert_allclose([first, cut, second, last], [0.2, 0.65, 0.9, 1.3], atol=0.02)


def test_a_clip_without_a_pause_has_no_two_words():
    with pytest.raises(ValueError, match="no quiet stretch"):
        spoken.two_words(sound((0.1, 0), (0.5, 0.5), (0.1, 0)))


def test_trimmed_keeps_the_pause_within():
    clip = spoken.trimmed(sound((0.3, 0), (0.2, 0.5), (0.1, 0), (0.2, 0.5), (0.4, 0)))
    assert len(clip) / RATE == pytest.approx(0.5, abs=0.03)


def test_sentences_differ_and_are_the_same_for_a_seed():
    first, again = ([words for words, _ in zip(spoken.sentences(3), range(50))] for _ in range(2))
    assert first == again
    assert len(set(first)) == 50


def test_pieces_make_words():
    pieces = [" The", " neigh", "bor", " bought", ",", " seven", " apples", "."]
    assert hearing.spelled(pieces) == [
        ("the", (0,)),
        ("neighbor", (1, 2)),
        ("bought", (3,)),
        ("seven", (5,)),
        ("apples", (6,)),
    ]


def test_words_that_were_misheard_are_left_out():
    spoken_words = ("the", "student", "opened", "green", "apples")
    assert hearing.matched(spoken_words, ["student", "opened", "three", "apples"]) == [(1, 0), (2, 1), (4, 3)]


def test_stretches_tile_all_frames():
    parts = scores.stretches(13)
    assert [len(part) for part in parts] == [5, 5, 3]
    assert [frame for part in parts for frame in part] == list(range(13))


def test_a_stretch_is_inside_by_its_middle():
    assert inside([(0.0, 0.1), (0.1, 0.2), (0.2, 0.3)], (0.06, 0.24)).tolist() == [False, True, False]


def test_grades():
    own = np.array([False, True, True, False])
    assert graded(np.array([0.0, 3.0, 1.0, 0.0]), own) == {"auroc": 1.0, "mass": 1.0, "hit": 1.0}
    assert graded(np.array([1.0, 3.0, -5.0, 0.0]), own) == {"auroc": 0.5, "mass": 0.75, "hit": 1.0}
    assert graded(np.ones(4), own) == {"auroc": 0.5, "mass": 0.5, "hit": 0.5}
    assert graded(np.zeros(4), own)["mass"] == 0.5


def test_a_shortened_model_is_whole_again():
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=50, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, num_mel_bins=4, max_source_positions=20,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    ids = torch.tensor([[1]])
    with hearing.shortened(model, 6):
        assert (
            model(
                input_features=torch.zeros(1, 4, 12), decoder_input_ids=ids
            ).encoder_last_hidden_state.shape[1]
            == 6
        )
    assert (
        model(input_features=torch.zeros(1, 4, 40), decoder_input_ids=ids).encoder_last_hidden_state.shape[1]
        == 20
    )
