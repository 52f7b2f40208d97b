"""Finding a Whisper model on this machine, and saying what is missing.

Belongs here: from the name of a model to a folder that holds it whole. Does not belong here:
loading and running it (`faster_whisper_engine`). Nothing here touches the network.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import huggingface_hub

from videomoments_dagster.base.failures import EngineUnavailable

REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a folder must hold. faster-whisper would fetch a missing tokenizer from a hub."""

_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_OTHER_REPOSITORIES = {
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
_POINTER = b"version https://git-lfs"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


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
    """Find the folder of a model.

    It is `model` itself if that is a folder, else the one of that name in `models_folder`, else
    what the hub's own cache on this machine holds.

    Args:
        model: Name, repository or folder.
        models_folder: Where models are placed.

    Raises:
        EngineUnavailable: There is none or it is not whole; the remedy says where to put it and
            how to fetch it.
    """
    named = Path(model).expanduser()
    if named.is_absolute() or named.is_dir() or model.startswith((".", "~")):
        _check_whole(named.absolute(), model, place=named.absolute())
        return named.absolute()
    placed = models_folder / model
    if placed.is_dir():
        _check_whole(placed, model, place=placed)
        return placed
    cached = _cached(repository_of(model))
    if cached is not None:
        return cached
    raise EngineUnavailable(
        f"The Whisper model '{model}' is not on this machine", remedy=_how_to_get(model, placed)
    )


def service_name(model: str) -> str:
    """Give the engine's name with the model's, without the folders before it."""
    return f"faster-whisper:{Path(model).name or model}"


def _how_to_get(model: str, place: Path) -> str:
    if Path(model).is_absolute() or model.startswith((".", "~")):
        return (
            f"Put a model in CTranslate2's format into {place}, or name one in "
            "VIDEOMOMENTS_WHISPER_MODEL"
        )
    return (
        f"Put it into {place}, for instance with `hf download {repository_of(model)} --local-dir "
        f"{place}` on a machine with a network, or choose another engine"
    )


def _check_whole(folder: Path, model: str, *, place: Path) -> None:
    remedy = _how_to_get(model, place)
    if not folder.is_dir():
        raise EngineUnavailable(f"The Whisper model folder {folder} does not exist", remedy=remedy)
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append(_VOCABULARIES[0])
    if missing:
        other = any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").is_file()
        raise EngineUnavailable(
            f"The Whisper model in {folder} lacks {', '.join(missing)}"
            + (": it is in another format than CTranslate2's" if other else ""),
            remedy=remedy,
        )
    with (folder / "model.bin").open("rb") as weights:
        if weights.read(len(_POINTER)) in {_POINTER, b""}:
            raise EngineUnavailable(
                f"model.bin in {folder} holds no weights: it is empty or a Git LFS pointer",
                remedy=remedy,
            )
    try:
        json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        raise EngineUnavailable(
            f"config.json in {folder} is not JSON: the model is damaged", remedy=remedy
        ) from error


def _cached(repository: str) -> Path | None:
    """Look into the cache that the hub's own client keeps, without asking the hub."""
    paths = [huggingface_hub.try_to_load_from_cache(repository, name) for name in REQUIRED_FILES]
    if not all(isinstance(path, str) for path in paths):
        return None
    folder = Path(str(paths[0])).parent
    return folder if any((folder / name).is_file() for name in _VOCABULARIES) else None
