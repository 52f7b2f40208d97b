"""What README.md and `docs` name is there: files, headings, commands, make targets, settings."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

import videomoments_dagster
from videomoments_dagster.cli.main import main
from videomoments_dagster.core.settings import Settings

PACKAGE = Path(videomoments_dagster.__file__).parent
PROJECT = PACKAGE.parent
README = PROJECT / "README.md"
PAGES = [README, *sorted((PROJECT / "docs").glob("*.md"))]
PICTURES = PROJECT / "docs" / "pictures"

# Read by one part of the program itself, not by the settings.
ELSEWHERE = {"VIDEOMOMENTS_FFMPEG"}

# Of the layout's first column.
_NAMES_WIDTH = 30

# Not the user, the databases and the folders of the same name.
_TOLD = r"(?:^|/bin/|\b(?:exec|run) (?:--\S+ )*\w+ )videomoments (\w.*)"

every_page = pytest.mark.parametrize("text_file", PAGES, ids=[page.name for page in PAGES])


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Everything in a page that leads to a file of this project."""
    text = without_code(page.read_text())
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\bsrc="([^"]+)"', text)
    return [link for link in found if "://" not in link]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    lines = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", lines, re.MULTILINE)
    }


def commands(page: Path) -> list[list[str]]:
    """What the console blocks of a page tell `videomoments` to do."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^[$#] (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            for told in re.findall(_TOLD, line):
                words = shlex.split(told, comments=True)
                found.append(list(takewhile(lambda word: word not in ("&", "&&", "|"), words)))
    return found


def parsed(words: list[str]) -> None:
    """The command's own parser on these words; it refuses what it does not know."""
    command: click.Command = main
    context: click.Context | None = None
    rest = list(words)
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=command.name, parent=context)
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
    command.make_context(command.name, rest, parent=context)


@every_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(text_file: Path) -> None:
    for link in links(text_file):
        path, _, anchor = link.partition("#")
        target = (text_file.parent / path).resolve() if path else text_file
        assert target.is_relative_to(PROJECT), link
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_picture_is_shown_somewhere_and_small_enough_for_a_repository() -> None:
    shown = {
        (page.parent / link).resolve() for page in PAGES for link in links(page) if ".png" in link
    }
    assert len(shown) >= 5
    assert shown == set(PICTURES.glob("*.png"))
    assert max(picture.stat().st_size for picture in shown) <= 150_000


def test_there_are_commands_to_look_at() -> None:
    assert ["run", "keynote"] in commands(README)
    assert sum(len(commands(page)) for page in PAGES) > 20


@every_page
def test_every_command_exists_and_takes_these_options(text_file: Path) -> None:
    for words in commands(text_file):
        parsed(words)
    for name in re.findall(r"`videomoments ([a-z]+)", text_file.read_text()):
        assert name in main.commands, name
    with pytest.raises(click.UsageError):
        parsed(["run", "keynote", "--no-such-option"])


@every_page
def test_every_make_target_exists(text_file: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:`|^\$ )make ([a-z-]+)", text_file.read_text(), re.MULTILINE):
        assert target in targets, target


@every_page
def test_every_variable_is_a_setting(text_file: Path) -> None:
    known = ELSEWHERE | {
        str(field.validation_alias or name).upper() for name, field in Settings.model_fields.items()
    }
    named = set(re.findall(r"\b(?:VIDEOMOMENTS|DATABASE)_[A-Z_]+\b", text_file.read_text()))
    assert named <= known


def test_the_readme_lists_settings() -> None:
    named = re.findall(r"^\| `((?:VIDEOMOMENTS|DATABASE)_\w+)`", README.read_text(), re.MULTILINE)
    assert len(named) > 10


def test_every_file_of_the_layout_is_there() -> None:
    [tree] = re.findall(
        r"^```\n(videomoments_dagster/\n.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL
    )
    lines = [line[:_NAMES_WIDTH].rstrip() for line in tree.splitlines() if line]
    assert len(lines) > 20
    within = {0: PROJECT}
    for names in lines:
        depth = len(names) - len(names.lstrip())
        for name in names.split(","):
            place = within[depth] / name.strip()
            assert place.exists(), name
            within[depth + 2] = place


def test_every_place_to_add_something_is_there() -> None:
    _, _, table = README.read_text().partition("| to add | go to |")
    rows = table.partition("\n\n")[0]
    named = re.findall(r"`([\w/]+(?:/|\.py|\.yaml))`", rows)
    assert len(named) > 10
    for name in named:
        assert (PACKAGE / name).exists() or (PROJECT / name).exists(), name
