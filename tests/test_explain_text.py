"""From text to scores and out again, end to end on tiny models."""

import csv
import io
import json

import numpy as np
import pytest

import attnflow
import tiny
from attnflow import Attribution, explain
from attnflow.capture import capture
from attnflow.errors import InputError, OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.view import caption

pytest.importorskip("torch")

TEXT = "The dogs don't jump, do they?"
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHAT = [
    {"role": "user", "content": "the quick dog"},
    {"role": "user", "content": "the quick dog"},
    {"role": "assistant", "content": "over the cat"},
    {"role": "user", "content": "who jumps?"},
]


@pytest.fixture(scope="module")
def classifier():
    return {"model": tiny.build("bert-class"), "tokenizer": tiny.wordpiece()}


@pytest.fixture(scope="module")
def writer():
    return {"model": tiny.build("gpt2", n_positions=300), "tokenizer": tiny.byte_bpe()}


@pytest.fixture(scope="module")
def chatter(writer):
    tokenizer = tiny.byte_bpe()
    tokenizer.chat_template = CHATML
    return {**writer, "tokenizer": tokenizer}


def labels(result):
    return [player.label for player in result.players]


@pytest.mark.parametrize("method", ["flow", "shapley", "rollout", "attention"])
def test_words_equal_words_by_hand(classifier, method):
    trace = capture(classifier["model"], TEXT, tokenizer=classifier["tokenizer"])
    spans = [token.span for token in trace.encoder_tokens]
    groups, start = [], None
    words = ["The", "dogs", "don't", "jump", ",", "do", "they", "?"]
    for word in words:
        start = TEXT.index(word, start)
        end = start + len(word)
        groups.append([j for j, span in enumerate(spans) if span and start <= span[0] < end])
        start = end
    assert sorted(j for group in groups for j in group) == list(range(1, len(spans) - 1))
    groups = [[0], *groups, [len(spans) - 1]]
    network = FlowNetwork.from_trace(trace, "attention")
    by_hand = attribute(network, method=method, targets=[0], players=groups)
    result = explain(**classifier, text=TEXT, method=method, capacity="attention", players="words")
    assert labels(result) == ["[CLS]", *words, "[SEP]"]
    np.testing.assert_allclose(result.scores, by_hand.scores, atol=1e-12)
    np.testing.assert_allclose(result.upper, by_hand.upper, atol=1e-12)


def test_a_list_of_texts_gives_a_list_of_results(classifier):
    texts = [TEXT, "the cat", "a mat"]
    results = explain(**classifier, text=texts, players="words")
    assert [result.text for result in results] == texts
    for text, result in zip(texts, results):
        alone = explain(**classifier, text=text, players="words")
        np.testing.assert_allclose(result.scores, alone.scores, rtol=1e-4)  # padding rounds differently
    with pytest.raises(InputError, match="Text 2 of 2"):
        explain(**classifier, text=["the cat", " "])
    for wrong in ([], ["the", 3], [3], 3, {"role": "user"}, [CHAT[0], "the"]):
        with pytest.raises(InputError, match="text"):
            explain(**classifier, text=wrong)


def test_excluded_players_are_named_with_what_they_cost(classifier):
    options = {"text": TEXT, "players": "words", "capacity": "attention", "residual": 0.95}
    everyone = explain(**classifier, **options)
    result = explain(**classifier, **options, exclude="special")
    assert labels(result) == labels(everyone)[1:-1]
    assert [player.label for player in result.excluded] == ["[CLS]", "[SEP]"]
    assert result.excluded_cost is not None
    np.testing.assert_allclose(result.total + result.excluded_cost, everyone.total, atol=1e-9)
    assert result.excluded_cost[0] > 0.1
    again = explain(**classifier, text=TEXT, players="words", exclude=["don't", 0])
    assert "don't" not in labels(again)
    assert "".join(player.label for player in again.excluded) == "[CLS]don't"
    from rich.console import Console

    from attnflow.view.page import page
    from attnflow.view.terminal import render

    console = Console(file=io.StringIO(), width=200)
    console.print(render(result))
    share = f"{float(result.excluded_cost[0] / everyone.total[0]):.0%} of what everyone could send"
    for shown in (console.file.getvalue(), page(result)):
        assert share in shown
        assert "Excluded from the game: [CLS], [SEP]." in shown
        assert "unsigned, the same whatever class is asked about" in shown
    with pytest.raises(OptionError, match="player"):
        explain(**classifier, text=TEXT, exclude=["no such word"])


def test_results_leave_in_every_form(classifier, tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    result = explain(**classifier, text=TEXT, players="words", exclude="special")
    plain = json.dumps(result.to_dict())
    result.save(tmp_path / "result.json")
    assert json.dumps(Attribution.load(tmp_path / "result.json").to_dict()) == plain
    result.to_csv(tmp_path / "result.csv")
    frames = [
        result.to_frame(),
        result.to_frame("polars"),
    ]
    with open(tmp_path / "result.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["player"] for row in rows] == labels(result)
    assert [float(row["score"]) for row in rows] == result.scores[0].tolist()
    for frame in frames:
        assert list(frame["player"]) == labels(result)
        assert list(frame["score"]) == result.scores[0].tolist()


def test_differences_of_inputs_targets_and_models(classifier):
    options = {"players": "words", "capacity": "attention", "exclude": "special"}
    one = explain(**classifier, text="the dog sat", **options)
    two = explain(**classifier, text="the cat sat", **options)
    np.testing.assert_array_equal((one - two).scores, one.scores - two.scores)
    assert labels(one - two) == ["the", "dog − cat", "sat"]
    other = explain(**classifier, text="the dog sat", target=2, **options)
    assert (one - other).targets[0].label != one.targets[0].label
    model = tiny.build("bert-class", num_hidden_layers=2)
    assert np.any((one - explain(model, "the dog sat", tokenizer=classifier["tokenizer"], **options)).scores)
    with pytest.raises(OptionError, match="different players"):
        one - explain(**classifier, text="the quick dog sat", **options)


@pytest.mark.parametrize("prefix", ["players", "closed"])
@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_generation_is_one_result(family, prefix):
    if family == "gpt2":
        model, tokenizer = tiny.build("gpt2"), tiny.byte_bpe()
    else:
        model, tokenizer = tiny.build("t5", num_decoder_layers=2), tiny.unigram()
    text = "the quick cat"
    result = explain(
        model, text, tokenizer=tokenizer, generate=4, prefix=prefix, capacity="attention", players="words"
    )
    trace = capture(model, text, tokenizer=tokenizer, generate=4)
    assert [target.label for target in result.targets] == [decision.label for decision in trace.decisions]
    assert len(result.targets) == 4
    np.testing.assert_allclose(result.total, 1, atol=1e-6)
    assert any(player.kind == "generated" for player in result.players) == (prefix == "players")
    given = [player.label for player in result.players if player.kind == "text" and player.label.strip()]
    assert given == ["the", "quick", "cat"]
    if family == "gpt2":
        assert trace.text.startswith(text)
        assert (result.text == trace.text) == (prefix == "players")
        assert result.text.startswith(text)
    result.show(width=100)
    result._repr_html_()


def test_sampled_generation_follows_the_seed(writer):
    def text(seed):
        options = {"do_sample": True, "temperature": 4.0}
        return explain(
            **writer, text="the cat", generate=6, generate_options=options, seed=seed, method="rollout"
        ).text

    assert text(1) == text(1) != text(2)


def test_a_chat(chatter):
    options = {"method": "shapley", "capacity": "attention", "exclude": "special"}
    result = explain(**chatter, text=CHAT, players="turns", generate=3, **options)
    assert labels(result)[:4] == [message["content"] for message in CHAT]
    assert [player.role for player in result.players] == ["user", "user", "assistant", "user", "assistant"]
    assert [player.kind for player in result.players][-1] == "generated"
    assert {player.kind for player in result.excluded} == {"template"}
    assert len(result.targets) == 3
    words = explain(**chatter, text=CHAT, players="words", generate=3, **options)
    said = [word for message in CHAT for word in message["content"].replace("?", " ?").split()]
    assert labels(words)[: len(said)] == said
    assert [player.turn for player in words.players][:6] == [0, 0, 0, 1, 1, 1]


def test_chats_saved_and_listed(chatter, tmp_path):
    options = {"method": "rollout", "capacity": "attention"}
    results = explain(**chatter, text=[CHAT, CHAT[:1], "the plain text"], **options)
    assert len(results) == 3
    assert results[2].text == "the plain text"
    results[0].save(tmp_path / "chat.json")
    assert Attribution.load(tmp_path / "chat.json").players == results[0].players


def test_views_show_turns(chatter):
    from rich.console import Console

    from attnflow.view.passage import blocks
    from attnflow.view.payload import payload
    from attnflow.view.terminal import render

    result = explain(**chatter, text=CHAT, generate=2, method="rollout", capacity="attention")
    laid = blocks(result, result.targets[0])
    assert [block.label for block in laid] == ["user", "user", "assistant", "user", "assistant"]
    texts = ["".join(piece.text for piece in block.pieces) for block in laid]
    assert texts[0] == "<|im_start|>user↵\nthe quick dog<|im_end|>↵"
    assert texts[2] == "<|im_start|>assistant↵\nover the cat<|im_end|>↵"
    assert [block["label"] for block in payload(result)["passage"]] == [block.label for block in laid]
    quiet = [index for index, player in enumerate(result.players) if player.kind == "template"]
    for index in quiet[:3]:
        assert payload(result)["players"][index]["quiet"]
    console = Console(file=io.StringIO(), width=100)
    console.print(render(result))
    assert console.file.getvalue().count("\nuser") == 3 * len(result.targets)


def test_capacities_of_ones_own(classifier):
    """A declared function stands beside a named scheme, and its name goes into the file."""
    squared = attnflow.capacity.declared(lambda W: W**2, row_stochastic=False, residual=0.0, name="squared")
    named, own = explain(**classifier, text=TEXT, method="flow", capacity=["attention", squared])
    trace = capture(**classifier, text=TEXT)
    expected = attribute(
        FlowNetwork.encoder(trace.records["attention"].encoder, tokens=trace.encoder_tokens),
        method="flow",
        targets=[0],
    )
    assert named.capacity == "attention"
    assert own.capacity == own.to_dict()["capacity"] == "squared"
    assert own.total[0] < expected.total[0]
    with pytest.raises(OptionError, match="no effect on 'squared'"):
        explain(**classifier, text=TEXT, capacity=squared, signed=True)
    with pytest.raises(OptionError, match="declared"):
        explain(**classifier, text=TEXT, capacity=lambda W: W)


def test_options_that_would_change_nothing(classifier, writer):
    with pytest.raises(OptionError, match="keeps every head apart"):
        explain(**classifier, text=TEXT, heads="all")
    with pytest.raises(OptionError, match="encoder-only network has none"):
        explain(**classifier, text=TEXT, decay=True)
    silent = "changes nothing here"
    assert silent in " ".join(explain(**writer, text="A cat", prefix="closed").notes)
    assert silent not in " ".join(explain(**writer, text="A cat", prefix="closed", generate=3).notes)


@pytest.mark.parametrize("method", ["rollout", "attention"])
def test_parts_beside_flow_in_logits(classifier, method):
    """Scores are parts of 1; v(N) and the intervals stay in the unit of the capacities, and it is said."""
    asked = {**classifier, "text": TEXT, "capacity": "relevance", "residual": 0.0}
    result, flow = (explain(**asked, method=name) for name in (method, "flow"))
    assert result.unit == "logit"
    assert result.total == pytest.approx(flow.total)
    assert "logit" in caption.amount(result, 0)
    assert "logit" not in caption.caption(result)
    assert "scores are parts of 1" in caption.bounds(result)
    assert caption.bounds(flow) == caption.BOUNDS
    with pytest.raises(OptionError, match="one axis cannot show both"):
        result.plot("bounds")
