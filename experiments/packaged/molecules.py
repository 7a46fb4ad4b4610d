"""ANNalog: a molecule in, a similar molecule out, as SMILES; an encoder-decoder written as plain torch modules.

The package's own handler builds the model, so that it is the class a user of the package has. Its vocabulary is a
pickle: only builtin types are let through before the handler reads it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from experiments.packaged.packaged import Packaged, folder, release

DISTRIBUTION = "annalog"


def load() -> Packaged:
    place = folder("annalog", DISTRIBUTION) / "ckpt_and_vocab"
    vocabulary = place / "stereo_experiment_vocab_ttf.pkl"
    _check_plain(vocabulary)
    from annalog.model_handler import SMILESModelHandler

    handler = SMILESModelHandler(vocabulary, vocabulary, place / "Lev_extended.pt", device="cpu")
    return Packaged("annalog", handler.model.eval(), "MIT", release(DISTRIBUTION), tokenizer=handler.SRC)


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the vocabulary asks for {module}.{name}, expected plain lists only")


def _check_plain(path: Path) -> None:
    with path.open("rb") as file:
        _Plain(file).load()
