"""What an answer rests on, against cases by hand."""

from experiments.reasoning.truth import JUDGES, changes, of_token, variables, verdict


def marked(formula, truth):
    return [token for token, matters in zip(formula, truth) if matters]


def test_what_a_conjunction_rests_on():
    judge, formula, answer = JUDGES["logic"], ("&", "a", "|", "b", "!", "c"), ("a=1", "b=1")
    assert judge.right(answer, formula)
    assert marked(formula, verdict(judge, formula, answer)) == ["&", "a", "|", "b"]  # c is free
    assert marked(formula, of_token(judge, formula, answer, 0)) == ["&", "a"]
    assert marked(formula, of_token(judge, formula, answer, 1)) == ["b"]
    assert list(variables(judge, formula, answer, 0)) == [True, True, False]


def test_what_a_trace_rests_on():
    judge, formula, answer = JUDGES["ltl"], ("U", "a", "&", "b", "X", "c"), ("loop", "{abc}")
    assert judge.right(answer, formula)
    assert marked(formula, verdict(judge, formula, answer)) == ["U", "&", "b", "X", "c"]  # a is not needed
    assert variables(judge, formula, answer, 0) is None
    assert list(variables(judge, formula, answer, 1)) == [False, True, True]


def test_changes_keep_the_formula_whole():
    operands = JUDGES["logic"].operands
    assert set(changes(("!", "a"), 0, operands)) == {("!", "!", "a"), ("a",)}
    assert len(set(changes(("a",), 0, operands))) == 5
