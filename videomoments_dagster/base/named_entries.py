"""Files of named entries, such as models and profiles: YAML that is validated as it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.base.text import folded

E = TypeVar("E")

_EXTENDS, _SHIPPED = "extends", "shipped"

# libyaml's, where PyYAML came with it, takes a tenth of the time.
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_entries(
    path: Path | None, kind: str, entry_of: Callable[[str, Any], E], *, shipped: Path
) -> dict[str, E]:
    """Read and check a file of named entries.

    With `extends: shipped` in it, the shipped file's entries are there as well; one of the same
    name changes them only in the fields that it names.

    Args:
        path: The file; None for the shipped one.
        kind: What an entry is, such as "model"; the setting of the file has its name.
        entry_of: Makes an entry of its name and what the file says. May raise `ValueError`.
        shipped: The file that the project ships.

    Raises:
        SettingsRejected: If the file cannot be read, is no YAML mapping, or an entry has an
            unknown field or a value out of its range; the reason names entry and field.
    """
    path = path or shipped
    remedy = f"Mend {path.name}"
    document = _document(path, kind)
    # A mapping is an entry that happens to have this name.
    if not isinstance(document.get(_EXTENDS, {}), dict):
        if document.pop(_EXTENDS) != _SHIPPED:
            raise SettingsRejected(
                f"the {kind}s file {path} extends something else than the shipped one",
                remedy=f"Write `{_EXTENDS}: {_SHIPPED}`, or name no `{_EXTENDS}`",
            )
        document = _changed(_document(shipped, kind), document)
    entries = {}
    for name, body in document.items():
        try:
            entries[str(name)] = entry_of(str(name), body)
        except ValueError as error:
            reason = _first_of(error) if isinstance(error, ValidationError) else str(error)
            raise SettingsRejected(
                f"{kind} '{name}' in {path.name} is refused: {reason}", remedy=remedy
            ) from None
    return entries


def _document(path: Path, kind: str) -> dict[Any, Any]:
    """What a file says."""
    file, remedy = f"the {kind}s file {path}", f"Mend {path.name}"
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - both build plain values only
    except OSError as error:
        raise SettingsRejected(
            f"{file} cannot be read: {error.strerror}",
            remedy=f"Set VIDEOMOMENTS_{kind.upper()}S to a file that exists, or unset it",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsRejected(f"{file} is no valid YAML: {folded(error)}", remedy=remedy) from None
    if not isinstance(document, dict) or not document:
        raise SettingsRejected(f"{file} must map {kind} names to entries", remedy=remedy)
    return document


def _changed(body: Any, changes: Any) -> Any:
    """A body with changes: fields of mappings one by one, everything else as a whole."""
    if not (isinstance(body, dict) and isinstance(changes, dict)):
        return changes
    return body | {name: _changed(body.get(name), change) for name, change in changes.items()}


def _first_of(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    where = f"field '{field}'" if field else "the entry"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
