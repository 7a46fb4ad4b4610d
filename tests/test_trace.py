"""Traces: everything that construction checks, and files."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

import networks
from attnflow.errors import AttnflowError, FormatError, InputError, OptionError
from attnflow.trace import Decision, Record, Token, Trace

RNG = np.random.default_rng(0)
ENCODER = networks.softmax(RNG, 2, 3, 3)
DECODER = networks.causal(networks.softmax(RNG, 2, 4, 4))
CROSS = networks.softmax(RNG, 2, 4, 3)


# -- from arrays ---------------------------------------------------------------------------------------


def test_architectures():
    encoder = Trace.from_arrays(ENCODER, tokens=["a", "b", "c"])
    assert (encoder.architecture, encoder.prompt) == ("encoder", None)
    assert [token.text for token in encoder.final_tokens] == ["a", "b", "c"]
    decoder = Trace.from_arrays(decoder=DECODER)
    assert (decoder.architecture, decoder.prompt) == ("decoder", 4)
    assert not any(token.generated for token in decoder.decoder_tokens)
    both = Trace.from_arrays(ENCODER, DECODER, CROSS, decoder_tokens=list("wxyz"))
    assert (both.architecture, both.prompt) == ("encoder-decoder", 1)
    assert [token.generated for token in both.decoder_tokens] == [False, True, True, True]
    assert [token.text for token in both.final_tokens] == list("wxyz")
    prompted = Trace.from_arrays(decoder=DECODER, prompt=2, tokens=list("wxyz"))
    assert [token.generated for token in prompted.decoder_tokens] == [False, False, True, True]


def test_heads_are_reduced():
    heads = networks.softmax(np.random.default_rng(1), 2, 5, 3, 3)
    mean = Trace.from_arrays(heads).record("attention").encoder
    assert mean[1] == pytest.approx(heads[1].mean(axis=0), abs=1e-12)
    everything = Trace.from_arrays(heads, heads="all").record("attention").encoder
    assert (everything[0] == heads[0]).all()
    largest = Trace.from_arrays(heads, heads="max").record("attention").encoder
    assert largest[0] == pytest.approx(networks.rows(heads[0].max(axis=0)))
    lists = Trace.from_arrays([layer.tolist() for layer in heads])
    assert lists.record("attention").encoder[0] == pytest.approx(mean[0])


def test_dtypes():
    for dtype, expected in ((np.float64, "float64"), (np.float32, "float32")):
        trace = Trace.from_arrays(ENCODER.astype(dtype))
        assert trace.dtype == expected
        assert trace.record("attention").encoder[0].dtype == dtype


def test_half_precision_arrays_have_half_precisions_slack():
    sharp = networks.rows(np.random.default_rng(3).random((1, 400, 400)) ** 4)
    rough = (sharp * (1 + 5e-3)).astype(np.float16)  # what summing 400 rounded weights may be off by
    assert Trace.from_arrays(rough).dtype == "float16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "No attention given"),
        ({"cross": CROSS}, "needs all three of encoder, decoder and cross attention; found cross"),
        ({"encoder": ENCODER, "decoder": DECODER}, "found encoder, decoder"),
        ({"encoder": []}, "encoder: expected at least one layer"),
        ({"encoder": 3}, "encoder: expected an array of layers, found int"),
        ({"encoder": np.ones(3)}, r"encoder layer 1: expected shape \[n, n\]"),
        ({"encoder": np.ones((1, 1, 1, 2, 2))}, r"found \[1, 1, 2, 2\]"),
        ({"encoder": np.ones((1, 0, 0))}, r"found \[0, 0\]"),
        ({"encoder": ENCODER.astype(complex)}, "expected real numbers, found dtype complex"),
        ({"encoder": np.full((1, 2, 3), 1 / 3)}, r"expected shape \[3, 3\] for these tokens, found \[2, 3\]"),
        ({"encoder": ENCODER, "tokens": ["a"]}, r"expected shape \[1, 1\] for these tokens"),
        ({"encoder": [ENCODER[0], np.eye(2)]}, "encoder layer"),
        (
            {"encoder": ENCODER, "decoder": DECODER, "cross": CROSS[:1]},
            "2 decoder layers but 1 cross-attention layers",
        ),
        (
            {"encoder": ENCODER, "decoder": DECODER, "cross": CROSS.swapaxes(1, 2) / 4 * 3},
            r"cross layer 1 \(attention\): expected shape \[4, 3\]",
        ),
        ({"encoder": ENCODER, "decoder_tokens": list("abc")}, "encoder-only trace has no decoder_tokens"),
        ({"decoder": DECODER, "tokens": list("abcd"), "decoder_tokens": list("abcd")}, "not both"),
        ({"decoder": DECODER, "prompt": 0}, "prompt=0: expected a number of decoder positions from 1 to 4"),
        ({"decoder": DECODER, "prompt": 5}, "prompt=5"),
        ({"encoder": ENCODER, "prompt": 1}, "encoder-only model has no decoder prompt"),
        ({"encoder": ENCODER, "decides": ["x"]}, "decides has 1 labels, expected one for each of the 3"),
        ({"encoder": ENCODER, "heads": "max"}, r"heads='max' needs \[heads, n, n\]"),
    ],
)
def test_wrong_arrays(arguments, message):
    with pytest.raises(InputError, match=message):
        Trace.from_arrays(**arguments)


def test_unknown_heads():
    with pytest.raises(OptionError, match="heads='median': expected 'mean', 'max' or 'all'"):
        Trace.from_arrays(ENCODER, heads="median")


def with_entry(value: float, stack: str = "encoder", at: tuple[int, ...] = (1, 2, 0)) -> dict:
    arrays = {"encoder": ENCODER.copy(), "decoder": DECODER.copy(), "cross": CROSS.copy()}
    arrays[stack][at] = value
    return arrays


@pytest.mark.parametrize("stack", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "found NaN; attention must be finite"),
        (np.inf, "found infinite values"),
        (-0.1, r"found a negative entry \(-0.1\)"),
        (0.99, "a row sums to 1.*expected at most 1"),
    ],
)
def test_wrong_entries_name_their_layer(stack, value, message):
    with pytest.raises(InputError, match=rf"{stack} layer 2 \(attention\): {message}"):
        Trace.from_arrays(**with_entry(value, stack))


def test_rows_must_sum_to_one_unless_there_are_sinks():
    short = ENCODER * 0.9
    with pytest.raises(InputError, match=r"encoder layer 1 .*a row sums to 0.9, expected 1.*sinks=True"):
        Trace.from_arrays(short)
    assert Trace.from_arrays(short, sinks=True).sinks
    with pytest.raises(InputError, match="expected at most 1"):
        Trace.from_arrays(ENCODER * 1.1, sinks=True)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_slack_of_row_sums_follows_the_models_dtype(dtype):
    slack = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 2e-2}[dtype]
    tokens = tuple(Token(str(index)) for index in range(3))

    def trace(factor: float) -> Trace:
        record = Record(encoder=((ENCODER[0] * factor).astype(np.float32),))
        return Trace("encoder", {"attention": record}, tokens, dtype=dtype)

    trace(1 - 0.95 * slack)
    trace(1 + 0.95 * slack)
    for factor in (1 - 1.05 * slack, 1 + 1.05 * slack):
        with pytest.raises(InputError, match="a row sums to"):
            trace(factor)


def test_causality():
    with pytest.raises(InputError, match=r"decoder layer 1 .*found weight on later positions.*as encoder="):
        Trace.from_arrays(decoder=networks.softmax(RNG, 2, 4, 4))
    kept = networks.softmax(RNG, 2, 3, 4, 4)
    with pytest.raises(InputError, match="found weight on later positions"):
        Trace.from_arrays(decoder=kept, heads="all")


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision(()), r"names positions \[\], expected some"),
        (Decision((3,)), "3"),
        (Decision((-1,)), "-1"),
        (Decision((0, 1), weights=(1.0,)), "weights"),
        (Decision((0, 1), weights=(0.5, 0.6)), "sum"),
    ],
)
def test_decisions_must_fit(decision, message):
    with pytest.raises(InputError, match=message):
        replace(Trace.from_arrays(ENCODER), decisions=(decision,))


def test_wrong_architecture():
    tokens = (Token("a"),)
    record = {"attention": Record(encoder=(np.eye(1),))}
    with pytest.raises(InputError, match="architecture='mamba': expected one of"):
        Trace("mamba", record, tokens)
    with pytest.raises(InputError, match="encoder has no positions"):
        Trace("encoder", record, ())
    with pytest.raises(InputError, match="has no decoder, but 1 tokens"):
        Trace("encoder", record, tokens, tokens)
    with pytest.raises(InputError, match="encoder traces need some encoder layers, found none"):
        Trace("encoder", {"attention": Record()}, tokens)


def test_a_record_it_does_not_hold():
    with pytest.raises(OptionError, match=r"does not hold 'gradient'.*record='gradient'"):
        Trace.from_arrays(ENCODER).record("gradient")


# -- files ---------------------------------------------------------------------------------------------


def full() -> Trace:
    """A trace that uses every field."""
    rng = np.random.default_rng(5)
    tokens = (
        Token("a", 1, (0, 1)),
        Token("[S]", None, None, special=True),
        Token("é", 2, (2, 3), role="user"),
    )
    decoded = tuple(Token(f"t{i}", i, generated=i > 0) for i in range(4))
    attention = Record(tuple(ENCODER), tuple(DECODER.astype(np.float32)), tuple(CROSS))
    slope = Record(
        tuple(rng.random((2, 3, 3))), tuple(np.tril(rng.random((2, 4, 4)))), tuple(rng.random((2, 4, 3)))
    )
    return Trace(
        "encoder-decoder",
        {"attention": attention, "gradient": slope},
        tokens,
        decoded,
        prompt=1,
        decisions=(Decision((1,), "x", None, 0.25, 7), Decision((0, 2), None, (0.5, 0.5))),
        decides=("x", None, "y", "z"),
        sinks=True,
        dtype="bfloat16",
        partial=("mamba 2",),
        text="a é",
        input_relevance={"encoder": rng.standard_normal(3), "decoder": rng.standard_normal(4)},
        provenance={"model": "tiny", "versions": {"attnflow": "0"}},
    )


def same(one: Trace, two: Trace) -> None:
    arrays = {"records", "input_relevance"}
    for name, value in vars(one).items():
        if name not in arrays:
            assert getattr(two, name) == value, name
    assert one.records.keys() == two.records.keys()
    for name, record in one.records.items():
        for stack in ("encoder", "decoder", "cross"):
            before, after = getattr(record, stack), getattr(two.records[name], stack)
            assert len(before) == len(after)
            for a, b in zip(before, after):
                assert a.dtype == b.dtype
                assert a.tobytes() == b.tobytes()
    assert one.input_relevance.keys() == two.input_relevance.keys()
    for name, vector in one.input_relevance.items():
        assert (two.input_relevance[name] == vector).all()


@pytest.mark.parametrize(
    "trace",
    [
        full(),
        Trace.from_arrays(ENCODER),
        Trace.from_arrays(decoder=networks.causal(networks.softmax(RNG, 12, 2, 3, 3)), heads="all"),
    ],
    ids=["everything", "encoder", "all heads"],
)
def test_round_trip_is_exact(trace, tmp_path):
    trace.save(tmp_path / "trace.safetensors")
    same(trace, Trace.load(tmp_path / "trace.safetensors"))
    same(trace, Trace.load(str(tmp_path / "trace.safetensors")))


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "trace.safetensors"
    Trace.from_arrays(ENCODER).save(path)
    before = path.read_bytes()

    def failing(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(InputError, match=r"Cannot write .*No space left on device"):
        full().save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["trace.safetensors"]


def test_saving_into_no_folder(tmp_path):
    with pytest.raises(InputError, match="Cannot write"):
        Trace.from_arrays(ENCODER).save(tmp_path / "nowhere" / "trace")


def stored(tmp_path, **changes):
    """The path of a trace file with changed metadata."""
    metadata = {"format": "attnflow-trace", "version": "1", "trace": json.dumps({})}
    metadata.update(changes)
    path = tmp_path / "trace"
    path.write_bytes(save({"attention/encoder/0": np.eye(2)}, metadata))
    return path


def test_newer_versions_are_refused(tmp_path):
    with pytest.raises(FormatError, match="has trace format 2; this attnflow reads up to 1: upgrade"):
        Trace.load(stored(tmp_path, version="2"))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"hello", b"\0" * 100, json.dumps({"format": "attnflow-attribution"}).encode()):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="is not a trace file"):
            Trace.load(path)
    with pytest.raises(FormatError, match="not a trace that attnflow saved"):
        Trace.load(stored(tmp_path, format="other"))


def test_a_truncated_file_is_refused(tmp_path):
    full().save(tmp_path / "trace")
    content = (tmp_path / "trace").read_bytes()
    for length in (len(content) - 1, len(content) // 2, 10):
        (tmp_path / "trace").write_bytes(content[:length])
        with pytest.raises(FormatError, match="is not a trace file"):
            Trace.load(tmp_path / "trace")


def damaged_head(**changes) -> dict[str, str]:
    head = {
        "architecture": "encoder",
        "encoder_tokens": [vars(Token("a")), vars(Token("b"))],
        "decoder_tokens": [],
        "heads": "mean",
        "prompt": None,
        "decisions": [],
        "decides": [],
        "sinks": False,
        "dtype": "float32",
        "partial": [],
        "text": None,
        "provenance": {},
    }
    head.update(changes)
    return {"trace": json.dumps(head)}


def test_a_file_written_by_hand_loads(tmp_path):
    assert Trace.load(stored(tmp_path, **damaged_head())).encoder_tokens[1].text == "b"


@pytest.mark.parametrize(
    "changes",
    [
        {"trace": "{}"},
        {"trace": "not json"},
        {"version": "x"},
        damaged_head(encoder_tokens=[{"text": "a"}, {}]),
        damaged_head(encoder_tokens=3),
    ],
    ids=["no fields", "no json", "no number", "no token", "no tokens"],
)
def test_damaged_metadata_is_refused(tmp_path, changes):
    with pytest.raises(FormatError):
        Trace.load(stored(tmp_path, **changes))


def test_damaged_contents_are_refused(tmp_path):
    with pytest.raises(AttnflowError, match="expected shape"):
        Trace.load(stored(tmp_path, **damaged_head(encoder_tokens=[vars(Token("a"))])))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(AttnflowError):
        Trace.load(tmp_path / "nothing")


def test_attentions_as_transformers_returns_them():
    """A tuple of layers with a batch axis, and a string for a list of names."""
    layers = tuple(np.full((1, 2, 3, 3), 1 / 3) for _ in range(2))
    with pytest.raises(
        InputError, match=r"drop the batch dimension, as in encoder=\[layer\[0\] for layer in"
    ):
        Trace.from_arrays(layers)
    trace = Trace.from_arrays([layer[0] for layer in layers])
    assert len(trace.encoder_tokens) == 3
    with pytest.raises(InputError, match="found the string 'abc', expected a list"):
        Trace.from_arrays([layer[0] for layer in layers], tokens="abc")
