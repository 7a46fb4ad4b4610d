from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from attnflow.errors import InputError, OptionError
from attnflow.segments import segment, whole_letters
from awkward import BROKEN, TEXTS

POOL = "aA1.'’ -_\u0301\u200d\u200b\u00ad\ufe0f🏽👩🇩🇪คั一ひカ한\u1100\u1161א\"\u05b0न\u094dम\r\n\t,:?\u20e3☠ﬁ@\x00\u2028"


def parts(text: str, how: str = "words") -> list[str]:
    return [text[start:end] for start, end in segment(text, how)]


def check(text: str, how: str) -> None:
    """Disjoint, in order, without whitespace at the ends, and everything but whitespace is in one."""
    reached = 0
    for start, end in segment(text, how):
        assert reached <= start < end <= len(text)
        assert not text[reached:start].replace("\u200b", "").strip()
        assert not text[start].isspace()
        assert not text[end - 1].isspace()
        if how == "words":
            assert not any(character.isspace() for character in text[start:end])
        reached = end
    assert not text[reached:].replace("\u200b", "").strip()


@pytest.mark.parametrize("how", ["words", "sentences"])
@pytest.mark.parametrize("name", TEXTS)
def test_segments_partition_the_text(name, how):
    check(TEXTS[name], how)


@given(st.text(alphabet=POOL, max_size=12) | st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_partitioned_or_refused(text):
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(InputError, match="lone surrogate"):
            segment(text)
        return
    check(text, "words")
    check(text, "sentences")


@given(
    st.text(alphabet=POOL.replace("\u094d", ""), max_size=12)
)  # a virama behind no consonant joins nothing
@settings(max_examples=300, deadline=None)
def test_words_cut_no_letter_from_its_marks(text):
    clusters = {0} | {match.end() for match in regex.finditer(r"\X", text)}
    for start, end in segment(text):
        assert end in clusters
        assert start in clusters or text[start - 1].isspace() or text[start - 1] == "\u200b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't can’t", ["don't", "can’t"]),
        ("co-op, yes!", ["co", "-", "op", ",", "yes", "!"]),
        ("3.14 1,000 $3.50", ["3.14", "1,000", "$", "3.50"]),
        ("CamelCase x_y", ["CamelCase", "x_y"]),
        ("👨‍👩‍👧‍👦🇩🇪🇫🇷👍🏽1️⃣🏴󠁧󠁢󠁥󠁮󠁧󠁿", ["👨‍👩‍👧‍👦", "🇩🇪", "🇫🇷", "👍🏽", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]),
        ("東京タワーへ", ["東", "京", "タワー", "へ"]),
        ("𠀀。", ["𠀀", "。"]),
        ("한국어를 공부", ["한국어를", "공부"]),
        ("สวัสดีครับ ผมรักน้ำ๒๕ ok", ["สวัสดีครับ", "ผมรักน้ำ", "๒๕", "ok"]),
        ("ខ្ញុំ\u200bស្រលាញ់", ["ខ្ញុំ", "ស្រលាញ់"]),
        ("ສະບາຍດີ ຂ້ອຍ", ["ສະບາຍດີ", "ຂ້ອຍ"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "।"]),
        ('שלום, צה"ל', ["שלום", ",", 'צה"ל']),
        ("نمی\u200cخواهم", ["نمی\u200cخواهم"]),
        ("e\u0301te\u0301 \u0301", ["e\u0301te\u0301", "\u0301"]),
        ("a\u00a0b\u3000c\u200bd", ["a", "b", "c", "d"]),
        ("1\u202f000\x1f", ["1", "000"]),
        ("ﬁne oﬃce", ["ﬁne", "oﬃce"]),
        (" " * 10_000, []),
        ("", []),
    ],
)
def test_words_are_what_people_think(text, words):
    assert parts(text) == words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        (
            'He said "Hi!" She (softly) left... then what?! Yes.',
            ['He said "Hi!"', "She (softly) left... then what?!", "Yes."],
        ),
        (
            "Dr. Smith paid $3.14 to J. R. Tolkien, e.g. here. So did I. Then",
            ["Dr. Smith paid $3.14 to J. R. Tolkien, e.g. here.", "So did I.", "Then"],
        ),
        ("The U.S.A. is big. It is.", ["The U.S.A. is big.", "It is."]),
        ("今日は。元気？はい！", ["今日は。", "元気？", "はい！"]),
        ("नमस्ते। दुनिया", ["नमस्ते।", "दुनिया"]),
        ("كيف؟ نعم.", ["كيف؟", "نعم."]),
        ("a title\n\nsome text\r\nmore", ["a title", "some text", "more"]),
        ("no end", ["no end"]),
        (" \n ", []),
    ],
)
def test_sentences_are_what_people_think(text, sentences):
    assert parts(text, "sentences") == sentences


@pytest.mark.parametrize("text", BROKEN)
def test_half_characters_are_refused(text):
    with pytest.raises(InputError, match="lone surrogate"):
        segment(text)


def test_refusals_say_what_was_expected():
    with pytest.raises(InputError, match="expected a string, found bytes"):
        segment(b"text")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="did you mean 'words'"):
        segment("text", "word")


def test_whole_letters_end_behind_their_marks():
    assert whole_letters("cafe\u0301\u0302 x", 0, 4) == (0, 6)
    assert whole_letters("cafe x", 0, 4) == (0, 4)
    assert whole_letters("cafe", 0, 4) == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        ". " * 50_000,
        "." * 50_000,
        "ก" * 100_000,
        "aก" * 20_000,
        "\u0301" * 100_000,
        "." + "," * 100_000,
        " " * 200_000,
    ],
)
def test_long_texts_take_linear_time(text):
    started = time.perf_counter()
    segment(text, "words")
    segment(text, "sentences")
    assert time.perf_counter() - started < 3
