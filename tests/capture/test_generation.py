"""Continuations: generated tokens, target text, decoder inputs, prompts."""

import pytest
import torch

import tiny
from attnflow.capture import capture
from attnflow.capture.tokens import tokens_of_continuation
from attnflow.errors import CaptureError, InputError, OptionError
from attnflow.network import FlowNetwork
from attnflow.players import player_groups

TEXT = "the quick cat"


def logits(model, **inputs):
    with torch.no_grad():
        return model(**{name: torch.tensor([value]) for name, value in inputs.items()}).logits[0]


def test_decoder_generates():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    ids = tokenizer(TEXT)["input_ids"]
    sequence = model.generate(torch.tensor([ids]), max_new_tokens=4, do_sample=False, pad_token_id=0)[
        0
    ].tolist()
    trace = capture(model, TEXT, tokenizer=tokenizer, generate=4)
    P, new = len(ids), sequence[len(ids) :]
    assert trace.prompt == P
    assert [token.id for token in trace.decoder_tokens] == sequence[:-1]
    assert [token.generated for token in trace.decoder_tokens] == [False] * P + [True] * (len(new) - 1)
    assert [d.positions for d in trace.decisions] == [(P - 1 + i,) for i in range(len(new))]
    assert [d.id for d in trace.decisions] == new
    expected = logits(model, input_ids=sequence[:-1]).softmax(-1)
    for decision in trace.decisions:
        assert decision.probability == pytest.approx(
            float(expected[decision.positions[0], decision.id]), rel=1e-4
        )
        assert trace.decides[decision.positions[0]] == decision.label
    assert list(trace.decides[: P - 1]) == [token.text for token in trace.decoder_tokens[1:P]]
    assert trace.record("attention").decoder[0].shape == (P + 3, P + 3)


def test_decoder_without_continuation_decides_the_likeliest_next_token():
    model, tokenizer = tiny.build("llama"), tiny.unigram(start=True)
    trace = capture(model, TEXT, tokenizer=tokenizer)
    ids = tokenizer(TEXT)["input_ids"]
    best = int(logits(model, input_ids=ids)[-1].argmax())
    assert trace.prompt == len(ids) == len(trace.decoder_tokens)
    (decision,) = trace.decisions
    assert decision.positions == (len(ids) - 1,)
    assert decision.id == best
    assert trace.decides[-1] == decision.label


def test_generation_that_ends_early():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    first = capture(model, TEXT, tokenizer=tokenizer, generate=1).decisions[0].id
    trace = capture(model, TEXT, tokenizer=tokenizer, generate=5, generate_options={"eos_token_id": first})
    assert [d.id for d in trace.decisions] == [first]
    assert len(trace.decoder_tokens) == trace.prompt


def test_sampling_follows_the_seed():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()

    def sample(seed):
        options = {"do_sample": True, "temperature": 5.0}
        trace = capture(model, TEXT, tokenizer=tokenizer, generate=8, generate_options=options, seed=seed)
        return [d.id for d in trace.decisions]

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_beam_search_passes_through():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    trace = capture(model, TEXT, tokenizer=tokenizer, generate=3, generate_options={"num_beams": 3})
    assert len(trace.decisions) == 3


def test_decoder_target_text():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    trace = capture(model, TEXT, tokenizer=tokenizer, target_text=" jumps over")
    prompt, target = (tokenizer(part)["input_ids"] for part in (TEXT, " jumps over"))
    assert trace.prompt == len(prompt)
    assert [d.id for d in trace.decisions] == target
    assert [d.positions[0] for d in trace.decisions] == list(
        range(len(prompt) - 1, len(prompt) - 1 + len(target))
    )
    assert [token.id for token in trace.decoder_tokens] == [*prompt, *target[:-1]]
    assert "".join(d.label for d in trace.decisions) == "jumpsover"
    expected = logits(model, input_ids=[*prompt, *target[:-1]]).softmax(-1)
    for decision in trace.decisions:
        assert decision.probability == pytest.approx(
            float(expected[decision.positions[0], decision.id]), rel=1e-4
        )


def test_end_token_behind_a_prompt_is_dropped_before_it_continues():
    model, tokenizer = tiny.build("llama"), tiny.unigram()
    trace = capture(model, TEXT, tokenizer=tokenizer, target_text="dog")
    assert tokenizer.eos_token_id not in [token.id for token in trace.decoder_tokens]


def test_padding_is_cut_before_a_prompt_continues():
    model = tiny.build("gpt2")
    plain = capture(model, inputs={"input_ids": [5, 6, 7]}, generate=3)
    left = {"input_ids": [1, 1, 5, 6, 7], "attention_mask": [0, 0, 1, 1, 1]}
    right = {"input_ids": [5, 6, 7, 1, 1], "attention_mask": [1, 1, 1, 0, 0]}
    for inputs in (left, right):
        trace = capture(model, inputs=inputs, generate=3)
        assert trace.decoder_tokens == plain.decoder_tokens
        assert trace.decisions == plain.decisions


def test_encoder_decoder_default_is_the_start_token():
    model, tokenizer = tiny.build("t5"), tiny.unigram()
    trace = capture(model, TEXT, tokenizer=tokenizer)
    ids = tokenizer(TEXT)["input_ids"]
    assert [token.id for token in trace.encoder_tokens] == ids
    assert [token.id for token in trace.decoder_tokens] == [0]
    assert trace.decoder_tokens[0].special
    assert trace.prompt == 1
    best = int(logits(model, input_ids=ids, decoder_input_ids=[0])[0].argmax())
    assert [d.id for d in trace.decisions] == [best]


def test_encoder_decoder_generates():
    model, tokenizer = tiny.build("t5", num_decoder_layers=2), tiny.unigram()
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    sequence = model.generate(ids, max_new_tokens=4, do_sample=False)[0].tolist()
    trace = capture(model, TEXT, tokenizer=tokenizer, generate=4)
    assert [token.id for token in trace.decoder_tokens] == sequence[:-1]
    assert [d.id for d in trace.decisions] == sequence[1:]
    assert [d.positions for d in trace.decisions] == [(i,) for i in range(len(sequence) - 1)]
    assert trace.prompt == 1


def test_encoder_decoder_target_text():
    model, tokenizer = tiny.build("t5"), tiny.unigram()
    trace = capture(model, TEXT, tokenizer=tokenizer, target_text="the dog sat")
    labels = tokenizer("the dog sat")["input_ids"][:-1]  # without the end token
    assert [token.id for token in trace.decoder_tokens] == [0, *labels[:-1]]
    assert [d.id for d in trace.decisions] == labels
    assert trace.prompt == 1
    assert "".join(d.label.strip() for d in trace.decisions) == "thedogsat"


def test_forced_language_token_counts_as_prompt():
    model = tiny.build("mbart")
    trace = capture(model, inputs={"input_ids": [6, 9, 2]}, generate=3)
    assert trace.prompt == 2
    assert [token.id for token in trace.decoder_tokens][:2] == [2, 7]
    assert trace.decisions[0].positions == (1,)
    plain = capture(model, inputs={"input_ids": [6, 9, 2]})
    assert (plain.prompt, len(plain.decoder_tokens)) == (2, 2)
    other = capture(
        model, inputs={"input_ids": [6, 9, 2]}, generate=2, generate_options={"forced_bos_token_id": 8}
    )
    assert [token.id for token in other.decoder_tokens][:2] == [2, 8]


@pytest.mark.parametrize(("kind", "prompt"), [("MBart50Tokenizer", 2), ("MBartTokenizer", 1)])
def test_language_of_the_tokenizer_counts_as_prompt(kind, prompt):
    model, tokenizer = tiny.build("mbart"), tiny.translating(kind)
    language = tokenizer.convert_tokens_to_ids("ro_RO")
    plain, generated, forced = (
        capture(model, "the cats", tokenizer=tokenizer, **wish)
        for wish in ({}, {"generate": 2}, {"target_text": "the dog"})
    )
    for trace in (plain, generated, forced):
        assert trace.prompt == prompt
        assert trace.decoder_tokens[prompt - 1].id == language
        assert all(token.special for token in trace.decoder_tokens[:prompt])
    assert [d.label.strip() for d in forced.decisions] == ["the", "dog"]
    assert generated.decisions[0].positions == (prompt - 1,)


def test_decoder_input_ids_are_used_as_given():
    model = tiny.build("mbart")
    trace = capture(model, inputs={"input_ids": [6, 9, 2], "decoder_input_ids": [2, 7, 11, 12]})
    assert [token.id for token in trace.decoder_tokens] == [2, 7, 11, 12]
    assert [token.generated for token in trace.decoder_tokens] == [False, False, True, True]
    assert trace.prompt == 2
    best = int(logits(model, input_ids=[6, 9, 2], decoder_input_ids=[2, 7, 11, 12])[-1].argmax())
    assert [d.id for d in trace.decisions] == [11, 12, best]
    assert [d.positions for d in trace.decisions] == [(1,), (2,), (3,)]


def test_encoder_decoder_from_parts():
    model, tokenizer = tiny.encoder_decoder_from_parts(), tiny.wordpiece()
    trace = capture(model, TEXT, tokenizer=tokenizer, generate=3, generate_options={"eos_token_id": 3})
    assert trace.prompt == 1
    assert 1 <= len(trace.decisions) <= 3


def test_headless_encoder_decoder():
    trace = capture(tiny.build("t5-headless"), TEXT, tokenizer=tiny.unigram())
    assert [d.label for d in trace.decisions] == [None]


def test_headless_decoder():
    trace = capture(tiny.build("gpt2-headless"), TEXT, tokenizer=tiny.byte_bpe())
    assert trace.decisions[0].positions == (len(trace.decoder_tokens) - 1,)
    assert trace.decisions[0].label is None


def whisper(**settings):
    import transformers

    config = transformers.WhisperConfig(
        vocab_size=100, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=4, max_source_positions=10,
        max_target_positions=20, decoder_start_token_id=5, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.WhisperForConditionalGeneration(config).eval()
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    return model


SPOKEN = {
    "lang_to_id": {"<|en|>": 10, "<|de|>": 11},
    "task_to_id": {"transcribe": 12, "translate": 13},
    "no_timestamps_token_id": 14,
    "return_timestamps": False,
    "is_multilingual": True,
}


def test_whisper_reads_features():
    model, features = whisper(), torch.randn(1, 4, 20)
    trace = capture(model, inputs={"input_features": features})
    assert [token.text for token in trace.encoder_tokens] == [f"frame {index}" for index in range(10)]
    assert trace.record("attention").cross[0].shape == (1, 10)
    trace = capture(model, inputs={"input_features": features}, generate=3)
    assert (trace.prompt, len(trace.decisions), len(trace.decoder_tokens)) == (1, 3, 3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"language": "german"},
        {"language": "de", "task": "translate", "return_timestamps": True},
        {"task": "translate"},
    ],
)
@pytest.mark.parametrize("forced", [None, [[1, None], [2, 12]], [[1, 10], [2, 12]]])
def test_whisper_starts_as_its_own_generation_does(options, forced):
    features = torch.randn(1, 4, 20, generator=torch.Generator().manual_seed(0))
    model = whisper(**SPOKEN, forced_decoder_ids=forced)
    own = whisper(**{**SPOKEN, **options}, forced_decoder_ids=forced)
    expected = own._retrieve_init_tokens(features, 1, own.generation_config, own.config, 20, {})[0].tolist()
    trace = capture(model, inputs={"input_features": features}, generate=3, generate_options=options)
    assert [token.id for token in trace.decoder_tokens[: trace.prompt]] == expected
    assert len(trace.decisions) == 3
    assert trace.decisions[0].positions == (len(expected) - 1,)
    if not options:
        plain = capture(model, inputs={"input_features": features})
        assert [token.id for token in plain.decoder_tokens] == expected
        given = {"input_features": features, "decoder_input_ids": [*expected, 33, 34]}
        assert capture(model, inputs=given).prompt == len(expected)


def test_whisper_refuses_other_languages_and_tasks():
    inputs = {"input_features": torch.randn(1, 4, 20)}
    for options in ({"language": "klingon"}, {"language": "fr"}, {"task": "sing"}):
        with pytest.raises(OptionError, match=next(iter(options))):
            capture(whisper(**SPOKEN), inputs=inputs, generate=1, generate_options=options)
    english = whisper(**{**SPOKEN, "lang_to_id": None, "task_to_id": None})
    assert capture(english, inputs=inputs).prompt == 2
    with pytest.raises(OptionError, match="one language"):
        capture(english, inputs=inputs, generate=1, generate_options={"language": "de"})


def nllb(source="eng_Latn", target="fra_Latn"):
    import json

    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        tiny.CORPUS, trainers.BpeTrainer(vocab_size=90, special_tokens=special, show_progress=False)
    )
    parts = json.loads(made.to_str())["model"]
    merges = [tuple(pair) for pair in parts["merges"]]
    return transformers.NllbTokenizer(vocab=parts["vocab"], merges=merges, src_lang=source, tgt_lang=target)


def m2m100(tmp_path, source="en", target="fr"):
    import json

    import sentencepiece
    import transformers

    (tmp_path / "corpus").write_text("\n".join(tiny.CORPUS))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "corpus"), model_prefix=str(tmp_path / "spm"), vocab_size=60, minloglevel=2,
        bos_id=-1, eos_id=-1, pad_id=-1, unk_id=0, hard_vocab_limit=False,
    )  # fmt: skip
    spm = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>", *map(spm.id_to_piece, range(spm.get_piece_size()))]
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    files = (str(tmp_path / "vocab.json"), str(tmp_path / "spm.model"))
    return transformers.M2M100Tokenizer(*files, src_lang=source, tgt_lang=target)


@pytest.mark.parametrize("kind", ["nllb", "m2m100"])
def test_target_language_of_translators_counts_as_prompt(kind, tmp_path):
    tokenizer = nllb() if kind == "nllb" else m2m100(tmp_path)
    code = "fra_Latn" if kind == "nllb" else "__fr__"
    model = tiny.build("m2m100")
    language = tokenizer.convert_tokens_to_ids(code)
    for wish in ({}, {"generate": 3}, {"target_text": "the dog"}):
        trace = capture(model, TEXT, tokenizer=tokenizer, **wish)
        assert trace.prompt == 2
        assert [token.id for token in trace.decoder_tokens[:2]] == [2, language]
        assert all(token.special for token in trace.decoder_tokens[:2])
        assert trace.decisions[0].positions == (1,)
    assert "".join(decision.label for decision in trace.decisions) == "thedog"
    tokenizer.tgt_lang = None
    assert capture(model, TEXT, tokenizer=tokenizer).prompt == 1
    with pytest.raises(InputError, match="tgt_lang"):
        capture(model, TEXT, tokenizer=tokenizer, target_text="the dog")


@pytest.mark.parametrize(
    ("family", "changes", "prefix"),
    [
        ("t5", {"num_decoder_layers": 2}, [0]),
        ("marian", {}, [1]),
        ("pegasus", {}, [0]),
        ("bart", {}, [2]),
        ("bart", {"forced_bos_token_id": 0}, [2, 0]),
        ("m2m100", {"forced_bos_token_id": 9}, [2, 9]),
        ("mbart", {}, [2, 7]),
    ],
)
def test_only_what_is_forced_is_prompt(family, changes, prefix):
    model, tokenizer = tiny.build(family, **changes), tiny.unigram()
    forced = changes.get("forced_bos_token_id")
    if forced is not None:
        model.generation_config.forced_bos_token_id = forced
    plain, generated = (capture(model, TEXT, tokenizer=tokenizer, **wish) for wish in ({}, {"generate": 4}))
    for trace in (plain, generated):
        assert trace.prompt == len(prefix)
        assert [token.id for token in trace.decoder_tokens[: trace.prompt]] == prefix
        network = FlowNetwork.from_trace(trace, prefix="closed")
        assert len(network.players) == len(trace.encoder_tokens) + len(prefix)
        for decision in trace.decisions:
            assert network.max_flow(target=decision.positions).value == pytest.approx(1, abs=1e-6)
    raw = torch.tensor([tokenizer(TEXT)["input_ids"]])
    options = {"max_new_tokens": 4 + len(prefix) - 1, "do_sample": False, "num_beams": 1}
    sequence = model.generate(raw, **options)[0].tolist()
    assert [d.id for d in generated.decisions] == sequence[len(prefix) :]


def test_generated_text_stands_behind_the_prompt():
    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    trace = capture(model, "the ke", tokenizer=tokenizer, target_text="ys 🙂 the\n\ndog 🙂")
    assert [d.label for d in trace.decisions].count("🙂") == 8
    assert [d.label for d in trace.decisions].count("\n") == 2
    assert trace.text == "the keys 🙂 the\n\ndog 🙂"  # whole, though the last byte is no position
    network = FlowNetwork.from_trace(trace)
    words = player_groups(network.players, network.text, "words")
    inked = [label for label in words.labels if label.strip()]
    assert inked == ["the", "ke", "ys", "🙂", "the", "dog", "🙂"]
    for group in words.groups:
        assert len({network.players[index].kind for index in group}) == 1
    sentences = player_groups(network.players, network.text, "sentences")
    assert sentences.labels[0] == "the ke"


def test_spans_do_not_cross_from_the_prompt_into_what_was_generated():
    trace = capture(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), target_text=" jumps over")
    network = FlowNetwork.from_trace(trace)
    end = len(TEXT)
    assert "jumps" in player_groups(network.players, network.text, [(0, end), (end, len(trace.text))]).labels
    with pytest.raises(OptionError, match="both given and generated"):
        player_groups(network.players, network.text, [(4, len(trace.text))])


def test_generated_special_tokens_have_no_text():
    tokenizer = tiny.byte_bpe()
    ids = tokenizer(TEXT)["input_ids"]
    end = tokenizer.eos_token_id
    tokens, text = tokens_of_continuation(tokenizer, [*ids, end, *ids], len(ids), len(ids) + 2, TEXT)
    assert [(token.text, token.span, token.special) for token in tokens] == [
        ("<|endoftext|>", None, True),
        ("the", (len(TEXT), len(TEXT) + 3), False),
    ]
    assert text == TEXT + "the"


def test_sampling_leaves_every_random_state_alone():
    import random

    import numpy as np

    model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    options = {"do_sample": True, "temperature": 3.0, "top_p": 0.9}
    one, two = (
        capture(model, TEXT, tokenizer=tokenizer, generate=5, generate_options=options, seed=4) for _ in "ab"
    )
    assert one.text == two.text
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert before[2] == random.getstate()


@pytest.mark.parametrize("family", ["bert", "bert-mlm"])
def test_encoders_cannot_continue(family):
    tokenizer = tiny.wordpiece()
    for wish in ({"generate": 2}, {"target_text": "dog"}):
        with pytest.raises(OptionError):
            capture(tiny.build(family), TEXT, tokenizer=tokenizer, **wish)


@pytest.mark.parametrize(
    "wish",
    [
        {"generate": 2, "target_text": "dog"},
        {"generate": -1},
        {"generate": 1.5},
        {"generate": True},
        {"generate_options": {"do_sample": True}},
        {"generate": 2, "generate_options": {"max_new_tokens": 3}},
        {"generate": 2, "generate_options": {"num_return_sequences": 2}},
        {"generate": 2, "generate_options": {"no_such_option": 2}},
    ],
)
def test_impossible_wishes(wish):
    with pytest.raises(OptionError):
        capture(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), **wish)


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_continuation_past_the_positions(family):
    tokenizer = tiny.byte_bpe() if family == "gpt2" else tiny.unigram()
    with pytest.raises(InputError, match="positions for 40"):
        capture(tiny.build(family), TEXT, tokenizer=tokenizer, generate=60)


def test_target_text_needs_words_and_a_tokenizer():
    with pytest.raises(InputError, match="target_text is empty"):
        capture(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), target_text=" ")
    with pytest.raises(InputError, match="tokenizer"):
        capture(tiny.build("gpt2"), inputs={"input_ids": [4, 5]}, target_text="dog")


def test_no_start_token():
    model = tiny.build("t5", decoder_start_token_id=None)
    model.generation_config.decoder_start_token_id = None
    with pytest.raises((InputError, CaptureError), match="start token"):
        capture(model, inputs={"input_ids": [4, 5]})


def test_a_decoder_deeper_than_its_encoder():
    """transformers makes room in its cache for as many layers as the encoder has; T5 here has 2 and 3."""
    model, tokenizer = tiny.build("t5"), tiny.unigram()
    trace = capture(model, "the cat sat", tokenizer=tokenizer, generate=4)
    assert len(trace.record("attention").decoder) == 3
    given = [token.id for token in trace.decoder_tokens]
    encoded = tokenizer("the cat sat", return_tensors="pt")
    with torch.no_grad():
        rows = model(input_ids=encoded["input_ids"], decoder_input_ids=torch.tensor([given])).logits[0]
    assert [decision.id for decision in trace.decisions] == rows.argmax(-1).tolist()
