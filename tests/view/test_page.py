"""The page: whole, silent on the network, its own policy, and nothing in it that a token could run."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from test_fragment import Page

import results
from attnflow import Attribution, FlowNetwork, attribute
from attnflow.comparison import Comparison
from attnflow.view.page import bundle, page
from attnflow.view.payload import payload
from attnflow.view.shading import contrast


def compared():
    return Comparison(results.several())


ALL = [
    results.single_target, results.uniform, results.estimated, results.many_targets, results.encoder_decoder,
    results.awkward, results.signed, compared,
]  # fmt: skip


@pytest.mark.parametrize("make", ALL)
def test_whole_and_silent(make):
    source = page(make())
    parsed = Page(source)
    assert source.startswith("<!doctype html>")
    assert parsed.found("html") == [{"lang": "en"}]
    assert {"name": "color-scheme", "content": "light dark"} in parsed.found("meta")
    assert any(meta.get("name") == "viewport" for meta in parsed.found("meta"))
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "href", "action", "poster", "background"} & set(attributes), tag
    without = source.replace("http://www.w3.org/2000/svg", "")  # the name of a language, never asked for
    assert not re.search(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", without)


@pytest.mark.parametrize("make", ALL)
def test_holds_the_payload_and_the_bundle(make):
    result = make()
    data, script = Page(page(result)).scripts
    assert json.loads(data) == payload(result)
    assert not re.search(r"[<>&]", data)
    assert script == bundle()


def test_own_policy_allows_only_its_script():
    source = page(results.single_target())
    (policy,) = [meta["content"] for meta in Page(source).found("meta") if "http-equiv" in meta]
    digest = base64.b64encode(hashlib.sha256(bundle().encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert "connect-src" not in rules
    assert rules["img-src"] == "data: blob:"


def test_the_bundle_sets_no_markup_and_runs_no_text():
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert name not in bundle()
    assert not re.search(r"</script|<!--", bundle(), re.IGNORECASE)


def test_tokens_are_text():
    parsed = Page(page(results.awkward()))
    assert "img" not in {tag for tag, _ in parsed.tags}
    assert len(parsed.scripts) == 2


def test_says_what_it_is_without_a_script():
    text = "".join(Page(page(results.single_target())).text)
    assert "What “positive” draws on · attnflow" in text
    assert "unsigned, the same whatever class is asked about" in text
    assert "fixed by construction" in text


def test_to_html_writes_the_page(tmp_path):
    path = tmp_path / "page.html"
    results.single_target().to_html(path)
    assert path.read_text(encoding="utf-8") == page(results.single_target())
    compared().to_html(path)
    assert path.read_text(encoding="utf-8") == page(compared())


def test_small_at_64_tokens():
    logits = np.random.default_rng(0).normal(size=(6, 64, 64))
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    network = FlowNetwork.encoder(0.5 * weights + 0.5 * np.eye(64))
    result = attribute(network, method="flow", targets=list(range(64)))
    source = page(result)
    assert len(source.encode()) < 1_500_000
    assert json.loads(Page(source).scripts[0])["results"][0]["flows"]["items"]


def test_third_party_licences_are_told():
    texts = (resources.files("attnflow.view") / "assets" / "attnflow.licenses.txt").read_text()
    banner = bundle().split("\n", 1)[0]
    names = re.findall(r"([a-z0-9-]+) \d+\.\d+\.\d+ \(([A-Za-z0-9-]+)\)", banner)
    assert {name for name, _ in names} >= {"d3-array", "d3-scale", "d3-shape"}
    for name, licence in names:
        assert licence in ("ISC", "BSD-3-Clause", "MIT")
        assert re.search(rf"^{name} \d", texts, re.M)
    assert "Copyright" in texts


# -- colours -------------------------------------------------------------------------------------------


def themes():
    css = (resources.files("attnflow.view") / "assets" / "attnflow.css").read_text()
    rules = dict(re.findall(r""":host(|\(\[data-theme="?(?:dark|auto)"?\]\))\{(.*?)\}""", css, re.S))
    found = {
        name.split("=")[-1].strip('"])'): dict(re.findall(r"--([a-z]+):\s*([^;}]+)", rule))
        for name, rule in rules.items()
    }
    return {"light": found[""], "dark": found["dark"], "auto": found["auto"]}


def colour(text):
    if text.startswith("#"):
        digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
        return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
    return tuple(map(int, text.split()))


def test_dark_theme_is_the_same_chosen_or_followed():
    found = themes()
    assert found["dark"] == found["auto"]
    assert set(found["dark"]) == set(found["light"])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_is_enough(theme):
    palette = themes()[theme]
    ground, raised, ink = (colour(palette[name]) for name in ("ground", "raised", "ink"))
    for under in (ground, raised):
        for name in ("ink", "soft", "link"):
            assert contrast(colour(palette[name]), under) >= 4.5
    for hue in ("hue", "against"):
        shade = colour(palette[hue])
        for part in np.linspace(0, float(palette["reach"]), 20):
            mixed = tuple(
                round(part * over + (1 - part) * under) for over, under in zip(shade, ground, strict=True)
            )
            assert contrast(ink, mixed) >= 4.5
        assert contrast(shade, ground) >= 3  # bars
    for name in ("edge", "cut", "lit", "attention", "cross", "closure"):
        assert contrast(colour(palette[name]), ground) >= 3


# -- words ---------------------------------------------------------------------------------------------


def pieces():
    """Two words of two tokens each."""
    players = results.players_of("play ing look ed", special=False)
    text = "playing looked"
    spans = [(0, 4), (4, 7), (8, 12), (12, 14)]
    players = tuple(replace(player, span=span) for player, span in zip(players, spans, strict=True))
    target = results.Target((0,), label="x")
    return results.result_of(
        players, [[0.1, 0.2, 0.3, 0.4]], [target], text=text, method="rollout", lower=None, upper=None,
        bottleneck=None,
    )  # fmt: skip


def test_words_stand_beside_tokens_where_they_are_a_sum():
    words = payload(pieces())["words"]
    assert [player["label"] for player in words["players"]] == ["playing", "looked"]
    np.testing.assert_allclose(words["results"][0]["scores"], [[0.3, 0.7]])
    assert payload(pieces(), words=False)["words"] is None
    several = payload(Comparison((pieces(), replace(pieces(), method="attention"))))
    assert len(several["words"]["results"]) == 2


def test_no_words_where_every_target_has_a_network_of_its_own():
    """As those of gradient capacities do: a game of their own for each would have to be solved."""
    of_pieces = pieces()
    rows = []
    for weight in (0.3, 0.6):
        network = FlowNetwork.encoder([np.full((4, 4), (1 - weight) / 4) + weight * np.eye(4)])
        solved = attribute(network, method="flow", targets=[0])
        rows.append(replace(solved, players=of_pieces.players, text=of_pieces.text))
    assert payload(rows[0])["words"] is not None
    both = Attribution.concat(rows)
    assert both.networks is not None
    assert payload(both)["words"] is None


def test_no_words_where_they_would_cost_or_change_nothing():
    assert payload(results.single_target())["words"] is None  # shapley without its network
    assert payload(replace(results.single_target(), method="rollout"))["words"] is None  # words already
    assert payload(results.signed())["words"] is None
