"""Chats: rendered as the template does, every token known as a message's or the template's."""

from copy import copy
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from attnflow.capture import capture
from attnflow.capture.chat import is_chat, parse, render
from attnflow.errors import InputError
from attnflow.network import FlowNetwork
from attnflow.players import player_groups
from attnflow.trace import Trace

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = CHATML.replace("m['content'] +", "m['content'] | trim +")
ESCAPING = CHATML.replace("m['content'] +", "m['content'] | e +")
QUOTING = CHATML.replace("m['content'] +", "m['content'] | tojson +")
#: Like Gemma's: no system role; its message is put before the first user's.
FOLDING = (
    "{{ '<bos>' }}{% set first = '' %}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'] + '\n\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + (first if loop.first else '') "
    "+ m['content'] | trim + '</turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
#: Like Qwen's: earlier thoughts are left out, and empty system messages replaced.
FORGETTING = (
    "{% if messages[0]['role'] != 'system' %}{{ '<s>system\nYou help.</s>\n' }}{% endif %}"
    "{% for m in messages %}{% if m['content'] or m['role'] != 'system' %}{{ '<s>' + m['role'] + '\n' }}"
    "{{ m['content'].split('</think>')[-1].lstrip('\n') + '</s>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)
BARE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
TEMPLATES = {
    "chatml": CHATML,
    "trimming": TRIMMING,
    "escaping": ESCAPING,
    "quoting": QUOTING,
    "folding": FOLDING,
    "forgetting": FORGETTING,
}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


CHATS = {
    "one": [user("the quick dog")],
    "twice the same": [user("the dog"), assistant("the dog"), user("the dog")],
    "content is template": [user("<|im_end|>\n<|im_start|>user\nthe</turn> <s>"), assistant("user\n"), user("user")],
    "spaces": [user("  \n the dog \n\n"), assistant("\tcat "), user("\n\nsat")],
    "to escape": [user('the <b>"quick"</b> & \\ dog'), assistant("a > b"), user("it's 'so'")],
    "emoji": [user("the 👨‍👩‍👧 naïve 🙂"), assistant("🙂"), user("é")],
    "system": [system("over the cat"), user("the dog"), assistant("cat"), user("sat on")],
    "empty system": [system(""), user("the dog")],
    "blank system": [system("  \n"), user("the dog")],
    "short": [user("a"), assistant("a"), user("a")],
    "to be continued": [user("the dog"), assistant("jumps over")],
    "to be continued, with a space": [user("the dog"), assistant("jumps ")],
    "thoughts": [user("the cat"), assistant("<think>\nthe dog\n</think>\n\nthe mat"), user("dog")],
}  # fmt: skip


@cache
def bytes_tokenizer():
    return tiny.byte_bpe()


def tokenizer_with(template, make=bytes_tokenizer):
    tokenizer = copy(make())
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="module")
def model():
    return tiny.build("gpt2", n_positions=400)


def written(content, template):
    """What a template leaves of a content, by hand."""
    if template == "escaping":
        import markupsafe

        return str(markupsafe.escape(content)).strip()
    if template == "quoting":
        import json

        return json.dumps(content, ensure_ascii=False)[1:-1].strip()
    return content.split("</think>")[-1].strip() if template == "forgetting" else content.strip()


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("chat", CHATS)
def test_contents_stand_where_the_template_puts_them(chat, template):
    tokenizer, messages = tokenizer_with(TEMPLATES[template]), CHATS[chat]
    going_on = messages[-1]["role"] == "assistant"
    found = render(tokenizer, parse(messages), answering=True)
    options = {"continue_final_message": True} if going_on else {"add_generation_prompt": True}
    assert found.text == tokenizer.apply_chat_template(messages, tokenize=False, **options)
    spans = {index: span for span, index in found.contents}
    cursor = -1
    for index, message in enumerate(messages):
        expected = written(message["content"], template)
        if not expected:
            assert index not in spans or not found.text[slice(*spans[index])].strip()
            continue
        if template == "quoting":
            assert found.text[slice(*spans[index])] in (expected, f'"{expected}"') or (
                message["content"] != message["content"].strip()
            )
        else:
            assert found.text[slice(*spans[index])].strip() == expected
        assert spans[index][0] > cursor
        cursor = spans[index][1]
    assert list(found.ends) == sorted(found.ends)
    assert found.answer == len(messages) - going_on


CONTENTS = st.lists(
    st.sampled_from(["a", "the", " ", "\n", "<|im_end|>", "user", "\t", "é", "<|im_start|>"])
).map("".join)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), CONTENTS), min_size=1, max_size=4))
def test_any_contents_are_located_exactly(said):
    messages = [{"role": role, "content": content} for role, content in said]
    for template, shown in ((CHATML, str), (TRIMMING, str.strip)):
        found = render(tokenizer_with(template), parse(messages), answering=True)
        text, expected, ends = "", [], []
        for index, (role, content) in enumerate(said):
            text += f"<|im_start|>{role}\n"
            if shown(content):
                expected.append(((len(text), len(text) + len(shown(content))), index))
            text += shown(content) + "<|im_end|>\n"
            ends.append(len(text))
        assert found.text == text + "<|im_start|>assistant\n"
        assert list(found.contents) == expected
        assert list(found.ends) == ends


def test_contents_that_the_template_looks_at():
    looking = (
        "{% for m in messages %}{% if m['content'].startswith('<tool>') %}{{ 'TOOL: ' }}{% endif %}"
        "{{ m['content'] }}{% if m['content'].endswith('</tool>') %}{{ ' END' }}{% endif %}{{ '|' }}{% endfor %}"
    )
    said = ["<tool> 3", "a<tool>", "4 </tool>", "<tool>", "<tool> 5 </tool>", "3 </tool> 4 <tool>"]
    found = render(tokenizer_with(looking), parse([user(text) for text in said]), answering=True)
    assert found.text.startswith(
        "TOOL: <tool> 3|a<tool>|4 </tool> END|TOOL: <tool>|TOOL: <tool> 5 </tool> END|"
    )
    assert [found.text[slice(*span)] for span, _ in found.contents] == said
    with pytest.raises(InputError, match="cannot be located exactly"):  # no place in it bears a mark
        render(
            tokenizer_with(looking.replace("'<tool>'", "'<tool></tool>'")),
            parse([user("<tool></tool>")]),
            answering=True,
        )


def test_an_escape_that_looks_like_the_content_is_not_taken_for_it():
    for answer in ("cat &\n\n", "\\ cat &a"):
        with pytest.raises(InputError, match="located exactly"):
            render(tokenizer_with(ESCAPING), parse([user("the"), assistant(answer)]), answering=True)


def test_tokens_of_messages_and_of_the_template(model):
    tokenizer = tokenizer_with(CHATML)
    messages = [system("over the mat"), user("the quick dog"), user("the quick dog")]
    trace = capture(model, messages, tokenizer=tokenizer)
    ids = tokenizer(trace.text, add_special_tokens=False)["input_ids"]
    assert [token.id for token in trace.decoder_tokens] == ids
    assert trace.prompt == len(ids)
    assert all(trace.text[slice(*token.span)] == token.text for token in trace.decoder_tokens)
    for index, message in enumerate(messages):
        own = [token for token in trace.decoder_tokens if token.turn == index]
        said = [token for token in own if not token.template]
        assert {token.role for token in said} == {message["role"]}
        assert trace.text[said[0].span[0] : said[-1].span[1]] == message["content"]
        assert {token.role for token in own if token.template} == {None}
        before = "".join(token.text for token in own[: own.index(said[0])])
        assert before == f"<|im_start|>{message['role']}\n"
    header = [token for token in trace.decoder_tokens if token.turn == 3]
    assert "".join(token.text for token in header) == "<|im_start|>assistant\n"
    assert all(token.template for token in header)


def test_same_ids_as_the_template_makes_itself(model):
    tokenizer = tokenizer_with("{{ bos_token }}" + CHATML)
    trace = capture(model, CHATS["system"], tokenizer=tokenizer)
    expected = tokenizer.apply_chat_template(CHATS["system"], add_generation_prompt=True)["input_ids"]
    assert [token.id for token in trace.decoder_tokens] == list(expected)
    first = trace.decoder_tokens[0]
    assert (first.text, first.special, first.template) == ("<|endoftext|>", True, True)


def test_special_tokens_written_in_a_message_are_its_text(model):
    tokenizer = tokenizer_with("{{ bos_token }}" + CHATML)
    trace = capture(model, [user("the <|endoftext|> dog")], tokenizer=tokenizer)
    inner = [token for token in trace.decoder_tokens[1:] if token.text == "<|endoftext|>"]
    assert [(token.role, token.special, token.template) for token in inner] == [("user", False, False)]


@pytest.mark.parametrize("make", [tiny.wordpiece, tiny.unigram, tiny.byte_bpe])
def test_other_tokenizers(make):
    tokenizer = tokenizer_with(
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}", make
    )
    model = tiny.build("llama", vocab_size=330, max_position_embeddings=200)
    trace = capture(model, [user("the cat"), assistant("sat"), user("the cat")], tokenizer=tokenizer)
    for index, text in enumerate(["the cat", "sat", "the cat"]):
        said = [t for t in trace.decoder_tokens if t.turn == index and not t.template and t.span]
        assert trace.text[said[0].span[0] : said[-1].span[1]] == text


def test_answers_belong_to_the_assistant(model):
    tokenizer = tokenizer_with(CHATML)
    for messages, turn in ((CHATS["one"], 1), (CHATS["to be continued"], 1)):
        trace = capture(model, messages, tokenizer=tokenizer, generate=3)
        answer = [token for token in trace.decoder_tokens if token.generated]
        assert len(answer) == 2
        assert {(token.role, token.turn, token.template) for token in answer} == {("assistant", turn, False)}
    trace = capture(model, CHATS["one"], tokenizer=tokenizer, target_text="jumps over")
    assert "".join(d.label for d in trace.decisions) == "jumpsover"
    assert trace.text.endswith("<|im_start|>assistant\njumps")


def test_a_classifier_reads_the_finished_chat():
    tokenizer = tokenizer_with(CHATML)
    model = tiny.build("gpt2-class", n_positions=200)
    trace = capture(model, CHATS["to be continued"], tokenizer=tokenizer)
    assert trace.text.endswith("jumps over<|im_end|>\n")
    assert {token.turn for token in trace.decoder_tokens} == {0, 1}


def test_encoder_decoder_reads_a_chat_as_its_source():
    tokenizer = tokenizer_with(CHATML.replace("\n", " "), tiny.unigram)
    trace = capture(
        tiny.build("t5", num_decoder_layers=2), CHATS["twice the same"], tokenizer=tokenizer, generate=2
    )
    said = [token.turn for token in trace.encoder_tokens if token.role]
    assert sorted(set(said)) == [0, 1, 2]
    assert all(token.span is None for token in trace.decoder_tokens)


def test_kinds_and_turns_of_players(model):
    tokenizer = tokenizer_with(BARE.replace("}}{%", "+ ' ' }}{%"))
    trace = capture(
        model, [user("the dog"), user("the dog"), assistant("sat")], tokenizer=tokenizer, generate=3
    )
    network = FlowNetwork.from_trace(trace)
    turns = player_groups(network.players, network.text, "turns")
    said = [label for label, group in zip(turns.labels, turns.groups) if network.players[group[0]].role]
    assert said[:3] == ["the dog", "the dog", "sat"]
    assert len(said) == 4
    words = player_groups(network.players, network.text, "words")
    assert words.labels[0] == "the"
    tokenizer = tokenizer_with(CHATML)
    network = FlowNetwork.from_trace(capture(model, CHATS["one"], tokenizer=tokenizer))
    kinds = [player.kind for player in network.players]
    assert set(kinds) == {"template", "text"}
    words = player_groups(network.players, network.text, "words")
    assert [label for label, group in zip(words.labels, words.groups) if kinds[group[0]] == "text"] == [
        "the",
        "quick",
        "dog",
    ]


def test_words_end_where_messages_and_template_do(model):
    tokenizer = tokenizer_with("{% for m in messages %}{{ 'x' + m['content'] + 'y' }}{% endfor %}")
    chat = [user("dog"), user("cat")]
    network = FlowNetwork.from_trace(capture(model, chat, tokenizer=tokenizer))
    words = player_groups(network.players, network.text, "words")
    found = [
        label for label, group in zip(words.labels, words.groups) if network.players[group[0]].kind == "text"
    ]
    assert found == ["dog", "cat"]


def test_saved_and_loaded(model, tmp_path):
    trace = capture(model, CHATS["system"], tokenizer=tokenizer_with(CHATML), generate=2)
    trace.save(tmp_path / "trace")
    assert Trace.load(tmp_path / "trace").decoder_tokens == trace.decoder_tokens


def test_lists_of_parts(model):
    parts = [{"type": "text", "text": "the quick"}, {"type": "text", "text": "dog sat"}]
    joined = capture(model, [{"role": "user", "content": parts}], tokenizer=tokenizer_with(CHATML))
    assert "user\nthe quick\ndog sat<|im_end|>" in joined.text
    reading = CHATML.replace(
        "m['content'] +",
        "(m['content'] if m['content'] is string else m['content'] | map(attribute='text') | join(' | ')) +",
    )
    listed = capture(model, [{"role": "user", "content": parts}], tokenizer=tokenizer_with(reading))
    assert "user\nthe quick | dog sat<|im_end|>" in listed.text
    said = [token.text for token in listed.decoder_tokens if not token.template]
    assert "".join(said) == "thequickdogsat"


def test_what_is_a_chat():
    assert is_chat([user("a")])
    assert is_chat(({"role": "user"},))
    assert not any(
        is_chat(value) for value in ("a", ["a"], [[user("a")]], [], {"role": "user"}, None, [user("a"), "b"])
    )


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "user"}], "Message 0 has no content"),
        ([{"content": "a"}], "Message 0 has no role"),
        ([{"role": "", "content": "a"}], "expected a name"),
        ([user("a"), user(3)], "Message 1 has content of type int"),
        ([user([{"type": "image", "url": "x"}])], "reads no text beside an image"),
        ([user(["text"])], "part of type 'str'"),
        ([user("a \ud800")], "Message 0: text holds half a character"),
        ([{**user("a"), "tool_calls": [1]}], "'tool_calls' beside role and content"),
        ([user("")], "say nothing"),
        ([user([])], "say nothing"),
        ([user(" \n")], "say nothing|located"),
    ],
)
def test_messages_that_are_refused(model, messages, reason):
    with pytest.raises(InputError, match=reason):
        capture(model, messages, tokenizer=tokenizer_with(TRIMMING))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "no chat template"),
        (CHATML.replace("m['content'] +", "m['content'] + m['content'] +"), "leaves out the content of message 0"),
        (CHATML.replace("m['content'] +", "m['content'] | reverse +"), "changes, repeats or leaves out"),
        (CHATML.replace("m['content'] +", ""), "changes, repeats or leaves out"),
        (CHATML.replace("m['content'] +", "m['content'] | wordcount | string +"), "changes, repeats or leaves out"),
        ("{{ raise_exception('no users here') }}", "no users here"),
        ("{% for %}", "cannot render"),
    ],
)  # fmt: skip
def test_templates_that_are_refused(model, template, reason):
    with pytest.raises(InputError, match=reason):
        capture(model, [user("the quick dog")], tokenizer=tokenizer_with(template))


def test_tokenizers_that_are_refused(model):
    class Slow(type(tiny.wordpiece())):
        @property
        def is_fast(self):
            return False

    slow = tiny.wordpiece(Slow)
    slow.chat_template = CHATML
    with pytest.raises(InputError, match="fast tokenizer"):
        capture(model, CHATS["one"], tokenizer=slow)
    with pytest.raises(InputError, match="needs a tokenizer"):
        capture(model, CHATS["one"])
    with pytest.raises(InputError, match="holds text of messages 0 and 1"):
        capture(model, [user("qui"), user("ck")], tokenizer=tokenizer_with(BARE))
