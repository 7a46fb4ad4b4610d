"""Reading a model and its tokenizer from a directory, a bundled name or a hub id."""

from __future__ import annotations

import difflib
import os
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers

from attnflow.capture.interface import first_line
from attnflow.capture.readers import readers
from attnflow.capture.sentences import is_sentence_model, tokenizer_of, transformer_of
from attnflow.capture.state import quiet
from attnflow.errors import CaptureError, InputError, OptionError, unknown_name
from attnflow.models import BUNDLED

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_SAFE = "*.safetensors"


def load_model(
    model: str | os.PathLike[str] | torch.nn.Module,
    tokenizer: Any = None,
    *,
    trust_remote_code: bool = False,
) -> tuple[torch.nn.Module, Any]:
    """Loads model and tokenizer; see `attnflow.capture.load_model` for everything."""
    if not isinstance(model, (str, os.PathLike)):
        if tokenizer is None and is_sentence_model(model):
            tokenizer = tokenizer_of(model)
        return unwrapped(model), _tokenizer_of(model, tokenizer, trust_remote_code)
    name = os.fspath(model)
    if isinstance(model, str) and model in BUNDLED and not Path(model).is_dir():
        loaded, own = BUNDLED[model].load()
        return loaded, own if tokenizer is None else _read_tokenizer(tokenizer, trust_remote_code)
    if Path(name).is_dir():
        _check_directory(Path(name), trust_remote_code)
    elif Path(name).is_file():
        raise CaptureError(f"{name!r} is a file, expected the directory that save_pretrained wrote.")
    elif isinstance(model, os.PathLike) or name.startswith((".", "/", "~")):
        raise CaptureError(f"{name!r} does not exist, expected the directory of a model.")
    elif near := difflib.get_close_matches(name, BUNDLED, n=1, cutoff=0.75):
        # said before the hub is asked, which takes long where there is none
        warnings.warn(
            f"{name!r} is no bundled model (did you mean {near[0]!r}?): asking the hub for it.", stacklevel=3
        )
    loaded = _from_pretrained(name, trust_remote_code)
    return loaded, _read_tokenizer(
        name if tokenizer is None else tokenizer, trust_remote_code, tokenizer is None
    )


def is_loadable(model: Any) -> bool:
    """Whether this names a model, or is a transformers model, compiled or adapted perhaps."""
    if isinstance(model, (str, os.PathLike)):
        return True
    return isinstance(_inside(model), transformers.PreTrainedModel)


def _inside(model: Any) -> Any:
    """What is inside a compiled or adapted model, or a sentence embedding model."""
    inner = getattr(model, "_orig_mod", model)
    if isinstance(inner, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        inner = inner.module
    if isinstance(inner, transformers.PreTrainedModel):
        return inner
    if is_sentence_model(inner):
        return transformer_of(inner)
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


def unwrapped(model: Any) -> transformers.PreTrainedModel:
    """Returns the transformers model inside a compiled or adapted one.

    Raises:
        CaptureError: there is none.
    """
    inner = _inside(model)
    if isinstance(inner, transformers.PreTrainedModel):
        _check_adapter(getattr(model, "_orig_mod", model))
        return inner
    raise CaptureError(
        f"{type(model).__name__} is not a transformers model: expected a PreTrainedModel, a directory, a "
        "bundled name or a hub id; for attention you already have there is Trace.from_arrays."
    )


def _check_adapter(model: Any) -> None:
    """Refuses adapters that put something in front of the input: it is not in the model inside them.

    Raises:
        CaptureError: it does.
    """
    adapter: Any = getattr(model, "active_peft_config", None)
    if getattr(adapter, "is_prompt_learning", False):
        raise CaptureError(
            f"{type(adapter).__name__}: this adapter puts {adapter.num_virtual_tokens} virtual tokens in front of the "
            f"input, which are no part of {type(_inside(model)).__name__}; expected an adapter inside its layers, such "
            "as LoRA."
        )


def _check_directory(path: Path, trust_remote_code: bool) -> None:
    if not (path / "config.json").is_file():
        if (path / "adapter_config.json").is_file():
            raise CaptureError(
                f"{str(path)!r} holds an adapter and no model: load it with peft's "
                "AutoPeftModel...from_pretrained and pass the model."
            )
        raise CaptureError(
            f"{str(path)!r} holds no config.json, expected the directory that save_pretrained wrote."
        )
    if not any(path.glob(_SAFE)):
        pickled = sorted(file.name for pattern in _PICKLED for file in path.glob(pattern))
        if pickled:
            raise CaptureError(
                f"{str(path)!r} holds its weights only as a pickle ({pickled[0]}), which can run code when "
                "loaded: load "
                "it yourself if you trust it and save it with save_pretrained, which writes safetensors."
            )
        raise CaptureError(f"{str(path)!r} holds no weights, expected a .safetensors file.")


def _from_pretrained(name: str, trust_remote_code: bool) -> transformers.PreTrainedModel:
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    with quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(name, **options)
        except (OSError, ValueError, KeyError) as error:
            raise _not_loaded(name, error) from error
        cls = _class_for(config, trust_remote_code)
        if issubclass(cls, transformers.PreTrainedModel):  # only the Auto classes know that option
            options = {}
        try:
            model, info = cls.from_pretrained(name, use_safetensors=True, output_loading_info=True, **options)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise CaptureError(
                f"{name!r} cannot be loaded as {cls.__name__}: {first_line(error)}."
            ) from error
    missing = sorted(key for key in info.get("missing_keys", ()) if "pooler" not in key)
    if missing:
        raise CaptureError(
            f"{name!r}: {len(missing)} weights of {type(model).__name__} are not in the checkpoint "
            f"({missing[0]} ...), so they would be random; load the class that fits it and pass the model."
        )
    model.eval()
    return model


def _class_for(config: Any, trust_remote_code: bool) -> Any:
    """The class a configuration names, so that a checkpoint's head is loaded with it."""
    for name in getattr(config, "architectures", None) or ():
        cls = getattr(transformers, name, None)
        if cls is not None and issubclass(cls, transformers.PreTrainedModel):
            return cls
        remote = getattr(config, "auto_map", None) or {}
        for auto, target in remote.items():
            if trust_remote_code and str(target).rsplit(".", 1)[-1] == name:
                return getattr(transformers, auto)
    return transformers.AutoModel


def _not_loaded(name: str, error: Exception) -> Exception:
    if "trust_remote_code" in str(error):
        return CaptureError(
            f"{name!r} comes with its own modeling code, which would run on this machine: pass "
            "trust_remote_code=True if you trust it."
        )
    if Path(name).is_dir():
        return CaptureError(f"{name!r} has a config.json that transformers cannot read: {first_line(error)}.")
    unknown = str(unknown_name("bundled model", name, BUNDLED)).rstrip(".")
    return OptionError(
        f"{name!r} is no directory, and the hub gave no such model ({first_line(error)}). {unknown}."
    )


def name_of(model: Any) -> str:
    """Where a model came from; "" if from nowhere, which transformers calls "None" for weights in memory."""
    name = getattr(model, "name_or_path", None)
    return "" if name in (None, "None") else str(name)


def _tokenizer_of(model: Any, tokenizer: Any, trust_remote_code: bool) -> Any:
    if tokenizer is not None:
        return _read_tokenizer(tokenizer, trust_remote_code)
    place = name_of(model)
    return _read_tokenizer(place, trust_remote_code, optional=True) if place else None


def _read_tokenizer(tokenizer: Any, trust_remote_code: bool, optional: bool = False) -> Any:
    if not isinstance(tokenizer, (str, os.PathLike)):
        readers("", tokenizer, None, False)  # checks what it is
        return tokenizer
    with quiet():
        try:
            found = transformers.AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=trust_remote_code)
        except Exception as error:  # what a missing tokenizer raises depends on its family
            if optional:
                return None
            place = os.fspath(tokenizer)
            raise InputError(f"No tokenizer can be loaded from {place!r}: {first_line(error)}.") from error
    if len(found) <= len(found.all_special_ids):  # some families make one of special tokens out of nothing
        if optional:
            return None
        raise InputError(f"The tokenizer at {os.fspath(tokenizer)!r} has no vocabulary.")
    return found
