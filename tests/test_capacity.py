"""From a trace to capacities: the residual rules, to the letter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import networks
from attnflow import capacity
from attnflow.capacity import SCHEMES, Scheme, capacities, find, register
from attnflow.errors import InputError, OptionError
from attnflow.trace import Record, Token, Trace


def trace_of(A: np.ndarray, dtype: str = "float64", sinks: bool = False) -> Trace:
    """An encoder trace of one layer whose weights the model held in `dtype`."""
    tokens = tuple(Token(str(index)) for index in range(A.shape[-1]))
    return Trace("encoder", {"attention": Record(encoder=(A,))}, tokens, dtype=dtype, sinks=sinks)


@pytest.fixture
def schemes(monkeypatch):
    """Registers schemes for one test."""
    monkeypatch.setattr(capacity, "SCHEMES", dict(SCHEMES))

    def added(name: str, matrix, row_stochastic: bool, residual=0.0) -> str:
        register(Scheme(name, "attention", matrix, row_stochastic, residual, "logit", "a test"))
        return name

    return added


A = networks.softmax(np.random.default_rng(0), 3, 3)


def test_no_residual_leaves_the_matrix_as_it_is():
    rough = A * np.array([[1 + 5e-7], [1.0], [1 - 5e-7]])  # not even rounding is touched
    found = capacities(trace_of(rough), residual=0)
    assert (found.encoder[0] == rough).all()
    assert found.encoder[0] is not rough
    assert found.residual == 0
    assert found.cross_residual is None


@pytest.mark.parametrize("residual", [0.1, 0.5, 0.99])
def test_residual_on_rows_that_sum_to_one(residual):
    found = capacities(trace_of(A), residual=residual)
    assert found.encoder[0] == pytest.approx((1 - residual) * A + residual * np.eye(3), abs=1e-15)
    assert found.row_stochastic
    assert (found.unit, found.residual) == ("share", residual)


def test_default_residual_is_one_half():
    assert capacities(trace_of(A)).residual == 0.5
    assert (capacities(trace_of(A)).encoder[0] == capacities(trace_of(A), residual=0.5).encoder[0]).all()


@pytest.mark.parametrize(
    ("dtype", "slack"), [("float64", 1e-6), ("float32", 1e-3), ("float16", 2e-2), ("bfloat16", 2e-2)]
)
def test_rows_are_divided_where_the_sum_differs_by_rounding_only(dtype, slack):
    inside, outside = 1 - 0.9 * slack, 1 - 1.1 * slack
    rough = A * np.array([[inside], [outside], [1 + 0.9 * slack]])
    found = capacities(trace_of(rough, dtype, sinks=True), residual=0.5).encoder[0]
    R = (found - 0.5 * np.eye(3)) / 0.5
    assert R.sum(axis=1) == pytest.approx([1, outside, 1], abs=1e-12)
    assert R[1] == pytest.approx(rough[1], abs=1e-15)  # a real deficit is kept
    assert R[0] == pytest.approx(A[0], abs=1e-12)


def test_a_sinks_deficit_is_attention_paid_to_nothing():
    deficit = np.array([[0.5], [0.9], [0.0]])
    found = capacities(trace_of(A * deficit, sinks=True), residual=0.5)
    assert found.encoder[0].sum(axis=1) == pytest.approx([0.75, 0.95, 0.5])
    assert found.encoder[0] == pytest.approx(0.5 * A * deficit + 0.5 * np.eye(3))


def test_rows_of_other_schemes_are_divided_wherever_the_sum_is_positive(schemes):
    name = schemes("scaled", lambda M: M * np.array([[0.01], [300.0], [0.0]]), False, 0.5)
    found = capacities(trace_of(A), name)
    expected = 0.5 * A * np.array([[1], [1], [0]]) + 0.5 * np.eye(3)
    assert found.encoder[0] == pytest.approx(expected, abs=1e-12)
    assert found.row_stochastic
    unscaled = capacities(trace_of(A), name, residual=0)
    assert unscaled.encoder[0] == pytest.approx(A * np.array([[0.01], [300.0], [0.0]]))
    assert not unscaled.row_stochastic
    assert unscaled.unit == "logit"


def test_open_residual():
    found = capacities(trace_of(A), residual="open")
    assert np.isinf(np.diag(found.encoder[0])).all()
    off = ~np.eye(3, dtype=bool)
    assert (found.encoder[0][off] == A[off]).all()
    assert (found.residual, found.cross_residual, found.row_stochastic) == ("open", None, False)
    assert found.own["encoder"].tolist() == [0, 0, 0]
    relevant = networks.with_relevance(trace_of(A), encoder=np.array([-1.0, 0.5, 2.0], dtype=np.float32))
    assert capacities(relevant, residual="open").own["encoder"].tolist() == [0, 0, 0]
    own = capacities(relevant, "relevance").own["encoder"]
    assert own.tolist() == [0, 0.5, 2]
    assert own.dtype == np.float64
    assert capacities(relevant, residual=0.5).own == {}
    with pytest.raises(OptionError, match="needs input_relevance"):
        capacities(replace(relevant, input_relevance={}), "relevance")


def test_encoder_decoder():
    rng = np.random.default_rng(1)
    arrays = (
        networks.softmax(rng, 1, 3, 3),
        networks.causal(networks.softmax(rng, 2, 4, 4)),
        networks.softmax(rng, 2, 4, 3),
    )
    trace = Trace.from_arrays(*arrays)
    found = capacities(trace, residual=0.25)
    assert found.cross_residual == 0.25
    for one, two in zip(found.cross, arrays[2]):
        assert one == pytest.approx(0.75 * two)
    for one, two in zip(found.decoder, arrays[1]):
        assert one == pytest.approx(0.75 * two + 0.25 * np.eye(4))
    for residual in (0, "open"):
        unscaled = capacities(trace, residual=residual)
        assert unscaled.cross_residual is None
        assert all((one == two).all() for one, two in zip(unscaled.cross, arrays[2]))
    assert set(capacities(trace, residual="open").own) == {"encoder", "decoder"}


def test_the_trace_is_left_as_it_was():
    trace = trace_of(A.copy())
    for residual in (0, 0.5, "open"):
        capacities(trace, residual=residual)
        assert (trace.records["attention"].encoder[0] == A).all()


def test_heads():
    heads = networks.softmax(np.random.default_rng(2), 1, 4, 3, 3)
    kept = Trace.from_arrays(heads, heads="all")
    assert capacities(kept, residual=0).encoder[0] == pytest.approx(heads[0].mean(axis=0))
    assert capacities(kept, residual=0, heads="mean").encoder[0] == pytest.approx(heads[0].mean(axis=0))
    largest = networks.rows(heads[0].max(axis=0))
    assert capacities(kept, residual=0, heads="max").encoder[0] == pytest.approx(largest)
    reduced = Trace.from_arrays(heads, heads="max")
    assert capacities(reduced, residual=0).encoder[0] == pytest.approx(largest)
    assert capacities(reduced, residual=0, heads="max").encoder[0] == pytest.approx(largest)
    with pytest.raises(OptionError, match="reduced its heads by 'max': capture again"):
        capacities(reduced, heads="mean")
    with pytest.raises(OptionError, match="Unknown reduction over heads 'median'"):
        capacities(kept, heads="median")


def test_the_largest_head_keeps_the_deficit_of_sinks():
    heads = 0.6 * networks.softmax(np.random.default_rng(2), 1, 4, 3, 3)
    found = capacities(Trace.from_arrays(heads, heads="max", sinks=True), residual=0)
    assert found.encoder[0].sum(axis=1) == pytest.approx([0.6] * 3)


@pytest.mark.parametrize("residual", [1, 1.0, -0.1, 2, np.nan, np.inf, True, "0.5", "closed"])
def test_residual_out_of_range(residual):
    with pytest.raises(OptionError, match=r"residual=.*expected a number from 0 up to but not 1, 'open'"):
        capacities(trace_of(A), residual=residual)


@pytest.mark.parametrize("name", ["gradient", "attention-gradient", "relevance"])
def test_schemes_that_tell_support_from_opposition(name):
    rng = np.random.default_rng(4)
    signed = rng.standard_normal((3, 3))
    records = {
        "attention": Record(encoder=(A,)),
        "gradient": Record(encoder=(np.maximum(signed, 0),)),
        "gradient-opposing": Record(encoder=(np.maximum(-signed, 0),)),
        "attention-gradient": Record(encoder=(np.maximum(signed, 0),)),
        "attention-gradient-opposing": Record(encoder=(np.maximum(-signed, 0),)),
        "relevance": Record(encoder=(signed,)),
    }
    trace = replace(trace_of(A), records=records, input_relevance={"encoder": np.array([-1.0, 0.0, 2.0])})
    supporting = capacities(trace, name, residual=0)
    opposing = capacities(trace, name, residual=0, opposing=True)
    assert (supporting.encoder[0] == np.maximum(signed, 0)).all()
    assert (opposing.encoder[0] == np.maximum(-signed, 0)).all()
    assert not supporting.row_stochastic
    assert supporting.residual == 0
    assert capacities(trace, name, residual="open").own["encoder"].tolist() == [0, 0, 2]
    against = capacities(trace, name, residual="open", opposing=True)
    assert against.own["encoder"].tolist() == [1, 0, 0]
    assert capacities(trace, name).residual == ("open" if name == "relevance" else 0)


def test_attention_does_not_tell_support_from_opposition():
    with pytest.raises(OptionError, match=r"'attention' does not tell support from opposition: .*relevance"):
        capacities(trace_of(A), opposing=True)


def test_divided_rows_are_shares(schemes):
    found = capacities(trace_of(A), schemes("scaled", lambda M: 7 * M, False), residual=0.5)
    assert found.encoder[0].sum(axis=1) == pytest.approx([1, 1, 1])
    assert found.unit == "share"


def test_unknown_scheme():
    with pytest.raises(OptionError, match="Unknown capacity scheme 'atention': did you mean 'attention'"):
        capacities(trace_of(A), "atention")
    with pytest.raises(OptionError, match="Unknown capacity scheme"):
        find("")


def test_a_record_the_trace_does_not_hold(schemes):
    register(replace(SCHEMES["attention"], name="slope", record="gradient"))
    with pytest.raises(OptionError, match=r"does not hold 'gradient'.*holds attention.*record='gradient'"):
        capacities(trace_of(A), "slope")


def test_a_name_twice(schemes):
    with pytest.raises(OptionError, match="'attention' is registered already"):
        register(SCHEMES["attention"])


@pytest.mark.parametrize(
    "matrix", [lambda M: -M, lambda M: M / 0 if False else M * np.nan, lambda M: M[:1], lambda M: M + np.inf]
)
def test_a_scheme_that_gives_no_capacities(schemes, matrix):
    name = schemes("broken", matrix, False)
    with pytest.raises(InputError, match="'broken' must give finite, non-negative matrices"):
        capacities(trace_of(A), name)


def test_a_function_that_says_what_it_is():
    def squared(weights):
        return weights**2

    own = capacity.declared(squared, row_stochastic=False, residual=0.0)
    found = capacities(trace_of(A), own)
    assert found.encoder[0] == pytest.approx(A**2)
    assert (found.scheme, found.unit, found.row_stochastic) == ("squared", "capacity", False)
    halves = capacities(
        trace_of(A), own, residual=0.5
    )  # rows are divided by their sums, as the scheme's are not 1
    assert halves.encoder[0].sum(axis=1) == pytest.approx(np.ones(3))
    same = capacity.declared(lambda W: W, row_stochastic=True, residual=0.3, name="mine")
    assert capacities(trace_of(A), same).encoder[0] == pytest.approx(0.7 * A + 0.3 * np.eye(3))


def test_a_function_that_does_not_is_refused():
    with pytest.raises(OptionError, match="declared"):
        capacities(trace_of(A), lambda W: W)
    with pytest.raises(OptionError, match="residual=2"):
        capacity.declared(lambda W: W, row_stochastic=True, residual=2)
    with pytest.raises(OptionError, match="expected a function"):
        capacity.declared("attention", row_stochastic=True, residual=0.5)
    with pytest.raises(OptionError, match="registered already"):
        capacities(trace_of(A), capacity.declared(lambda W: W, row_stochastic=True, residual=0, name="norm"))
    with pytest.raises(OptionError, match="Unknown capacity scheme"):
        capacities(trace_of(A), ["attention"])
