"""Pairs of texts, and sentences as embeddings."""

import json

import numpy as np
import pytest
from tokenizers import processors

import tiny
from attnflow import explain
from attnflow.capture import capture
from attnflow.errors import InputError

PAIR = ("the cat sat on the mat", "the dog jumps")


def paired():
    tokenizer = tiny.wordpiece()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def test_a_pair_is_what_the_tokenizer_makes_of_two_texts():
    model, tokenizer = tiny.build("bert-class"), paired()
    trace = capture(model, PAIR, tokenizer=tokenizer)
    made = tokenizer(*PAIR)
    assert [token.id for token in trace.encoder_tokens] == made["input_ids"]
    same = capture(model, inputs=dict(made), tokenizer=tokenizer)
    for one, two in zip(trace.record("attention").encoder, same.record("attention").encoder, strict=True):
        np.testing.assert_array_equal(one, two)
    assert trace.text == "\n".join(PAIR)
    for token in trace.encoder_tokens:
        if token.span:
            assert trace.text[slice(*token.span)] == token.text


def test_words_of_both_texts():
    result = explain(tiny.build("bert-class"), PAIR, tokenizer=paired(), players="words", method="rollout")
    labels = [player.label for player in result.players if player.kind == "text"]
    assert labels == [*PAIR[0].split(), *PAIR[1].split()]
    sentences = explain(
        tiny.build("bert-class"), PAIR, tokenizer=paired(), players="sentences", method="rollout"
    )
    assert [player.label for player in sentences.players if player.kind == "text"] == list(PAIR)


def test_several_pairs():
    results = explain(tiny.build("bert-class"), [PAIR, PAIR[::-1]], tokenizer=paired(), method="rollout")
    assert [result.text for result in results] == ["\n".join(PAIR), "\n".join(PAIR[::-1])]


def test_pairs_that_are_none():
    with pytest.raises(InputError, match="A text of the pair is empty"):
        capture(tiny.build("bert-class"), ("the cat", " "), tokenizer=paired())
    with pytest.raises(InputError, match="tokenizer"):
        capture(tiny.build("bert-class"), PAIR)


# -- embeddings -------------------------------------------------------------------------------------------


def test_the_mean_of_all_positions():
    """A mean-pooled embedding: the mean of the rows of each position."""
    model, tokenizer = tiny.build("bert"), tiny.wordpiece()
    mean = explain(model, "the quick dog", tokenizer=tokenizer, target="mean", method="rollout")
    rows = explain(model, "the quick dog", tokenizer=tokenizer, target="all", method="rollout")
    np.testing.assert_allclose(mean.scores[0], rows.scores.mean(axis=0), atol=1e-12)
    assert mean.total[0] == pytest.approx(1)


@pytest.mark.parametrize("way", ["mean", "cls", "lasttoken", "weightedmean"])
def test_pooling_beside_a_checkpoint(way, tmp_path):
    """The default target is what the pooling of a sentence embedding model reads."""
    tiny.build("bert").save_pretrained(tmp_path)
    tiny.wordpiece().save_pretrained(tmp_path)
    plain = capture(tmp_path, "the quick dog")
    assert plain.decisions[0].positions == (0,)
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": way}))
    (decision,) = capture(tmp_path, "the quick dog").decisions
    size = len(plain.encoder_tokens)
    if way in ("cls", "lasttoken"):
        assert decision.positions == ((0,) if way == "cls" else (size - 1,))
    else:
        assert decision.positions == tuple(range(size))
        parts = np.ones(size) if way == "mean" else np.arange(1, size + 1)
        np.testing.assert_allclose(decision.weights, parts / parts.sum())
    old = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(old))
    (decision,) = capture(tmp_path, "the quick dog").decisions
    assert len(decision.positions) == size


@pytest.mark.slow
def test_a_sentence_embedding_model(tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    tiny.build("bert").save_pretrained(tmp_path)
    tiny.wordpiece().save_pretrained(tmp_path)
    model = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu")
    result = explain(model, "the quick dog", method="rollout")
    size = len(result.players)
    assert result.targets[0].weights == pytest.approx((1 / size,) * size)
    both = explain(model, ["the quick dog", "a cat"], method="rollout")
    np.testing.assert_array_equal(both[0].scores, result.scores)
