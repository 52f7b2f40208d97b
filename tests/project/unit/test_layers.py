"""What may import what: read off the imports of every module, wherever in it they stand."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import videomoments_dagster

PROJECT = Path(videomoments_dagster.__file__).parents[1]
PACKAGE = "videomoments_dagster"
TOOLS = {"media", "speech", "language_models", "sources"}
SYSTEMS = {
    path.parent.name
    for path in (PROJECT / PACKAGE).glob("*/system.py")
    if path.parent.name != "core"
}
DAGSTER_INTERNALS = f"{PACKAGE}.core.dagster_internals"
UNDOCUMENTED = re.compile(r"dagster(_\w+)?\._|dagster_shared")


def modules() -> dict[str, ast.Module]:
    """Every module of the product, parsed, by its dotted name."""
    return {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts): ast.parse(path.read_text())
        for folder in (PACKAGE, "db")
        for path in sorted((PROJECT / folder).rglob("*.py"))
    }


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports, with what comes from them: `db.models.Video`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(module: str) -> str:
    """The folder below the package that a module is in; `db`, or `` for the package itself."""
    parts = module.split(".")
    if parts[0] == "db":
        return "db"
    return parts[1] if parts[0] == PACKAGE and len(parts) > 2 else ""


def forbidden(importer: str, imported: str) -> bool:
    """Whether an import runs back up, or sideways into another system's rooms."""
    here, there = room(importer), room(imported)
    top = imported.split(".", maxsplit=1)[0]
    if here == "db":
        return top in (PACKAGE, "dagster")
    if here == "base":
        return (top == PACKAGE and there != "base") or (
            top == "db" and not imported.startswith("db.errors.")
        )
    if here in TOOLS:
        above = top == PACKAGE and there not in {*TOOLS, "base"}
        return above or top in ("db", "dagster", "sqlalchemy", "dagster_gcp")
    if here == "core":
        return there in SYSTEMS or there == "cli"
    if here in SYSTEMS:
        sideways = there in SYSTEMS - {here} and imported.split(".")[2] != "reading"
        return sideways or there == "cli"
    return False


def test_nothing_imports_what_stands_above_or_beside_it() -> None:
    found = {
        f"{importer} -> {imported}"
        for importer, tree in MODULES.items()
        for imported in imports(tree)
        if forbidden(importer, imported)
    }
    assert found == set()


def test_a_forbidden_import_would_be_found() -> None:
    assert forbidden(f"{PACKAGE}.core.asset", f"{PACKAGE}.moments.system.MOMENTS")
    assert forbidden(f"{PACKAGE}.media.probe", f"{PACKAGE}.core.settings.Settings")
    assert forbidden(f"{PACKAGE}.media.probe", "sqlalchemy.select")
    assert forbidden("db.session", f"{PACKAGE}.base.failures.MediaFailed")
    assert not forbidden(f"{PACKAGE}.moments.assets.clips", f"{PACKAGE}.core.asset.asset")


def test_what_dagster_does_not_document_is_used_in_one_file() -> None:
    found = {
        f"{importer} -> {imported}"
        for importer, tree in MODULES.items()
        for imported in imports(tree)
        if importer != DAGSTER_INTERNALS and UNDOCUMENTED.match(imported)
    }
    assert found == set()


def test_no_public_class_has_the_name_of_another() -> None:
    where = defaultdict(set)
    for module, tree in MODULES.items():
        for node in tree.body:
            # A table's model and the value that an asset hands on are the same thing.
            is_model = module.startswith("db.models.")
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not is_model:
                where[node.name].add(module)
    assert {name: found for name, found in where.items() if len(found) > 1} == {}


SAME_EVERYWHERE = {"definitions", "settings"}
"""Files that are the same thing wherever they stand, like the same file in another system."""


def test_no_module_has_the_name_of_one_that_is_something_else() -> None:
    where = defaultdict(set)
    for module in MODULES:
        folder, _, name = module.rpartition(".")
        # A table's file is called as the table is.
        if name not in {"__init__", *SAME_EVERYWHERE} and not folder.startswith("db.models."):
            where[name].add("a system" if folder in {f"{PACKAGE}.{s}" for s in SYSTEMS} else folder)
    assert {name: found for name, found in where.items() if len(found) > 1} == {}
