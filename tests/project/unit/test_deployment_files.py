"""What `deploy/` and the Dockerfile name is there: commands, options, modules, variables."""

from __future__ import annotations

import importlib.util
import re
import shlex
from configparser import RawConfigParser
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import videomoments_dagster
from videomoments_dagster.core.settings import Settings

PROJECT = Path(videomoments_dagster.__file__).parents[1]
DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")

# Of others: Dagster, Google's client, Python, and what compose.yaml itself asks for.
FOREIGN = {"DAGSTER_HOME", "GOOGLE_APPLICATION_CREDENTIALS", "PYTHONUNBUFFERED"}
OF_COMPOSE = {"POSTGRES_PASSWORD", "VIDEOS"}


def known_variables() -> set[str]:
    return {
        str(field.validation_alias or name).upper() for name, field in Settings.model_fields.items()
    }


def unit(path: Path) -> RawConfigParser:
    """A unit with each option's values in one string, a line each."""

    class Repeated(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if isinstance(value, list) and key in self:
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = RawConfigParser(strict=False, dict_type=Repeated, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text().replace("\\\n", " "))
    return parser


def dockerfile_command(instruction: str) -> list[str]:
    found = re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return [str(word) for word in yaml.safe_load(found[0])]


def commands() -> dict[str, list[str]]:
    """Every command line of ours, by where it stands."""
    found = {path.name: shlex.split(unit(path)["Service"]["ExecStart"]) for path in UNITS}
    found["Dockerfile"] = dockerfile_command("CMD")
    found["Dockerfile, health"] = re.findall(r'"([^"]*)"', DOCKERFILE.rpartition("CMD")[2])
    for name, service in SERVICES.items():
        if name == "postgres":
            continue
        command = service.get("command", [])
        if command[:1] == ["sh"]:
            for number, part in enumerate(command[-1].split(" && ")):
                found[f"compose, {name} {number}"] = shlex.split(part)
        elif command:
            found[f"compose, {name}"] = command
        test = service.get("healthcheck", {}).get("test", [])
        if test and test[1] != "python":
            found[f"compose, {name}, health"] = test[1:]
    return found


def parsed(words: list[str]) -> click.Context:
    """The command's own parser on these words; it refuses what it does not know."""
    # Both places hold the files of `deploy/`.
    here = [re.sub(r"/opt/(dagster|videomoments/deploy)/", f"{DEPLOY}/", word) for word in words]
    program, *rest = here
    [script] = entry_points(group="console_scripts", name=Path(program).name)
    module = importlib.import_module(script.module)
    command: click.Command = getattr(module, "cli", None) or getattr(module, script.attr)
    context = command.make_context(script.name, list(rest), resilient_parsing=False)
    while isinstance(command, click.Group):
        # Click 8.2 renamed it.
        left = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = command.resolve_command(context, left)  # type: ignore[assignment]
        context = command.make_context(name, list(rest), parent=context)
    return context


def test_there_are_commands_to_look_at() -> None:
    assert len(UNITS) == 3
    assert {"compose, migrate 2", "compose, daemon, health", "Dockerfile, health"} <= set(
        commands()
    )


@pytest.mark.parametrize(("place", "words"), commands().items(), ids=list(commands()))
def test_commands_exist_and_take_these_options(place: str, words: list[str]) -> None:
    parsed(words)
    with pytest.raises(click.UsageError):
        parsed([*words, "--no-such-option"])


@pytest.mark.parametrize("place", ["videomoments-code.service", "Dockerfile"])
def test_the_code_server_serves_our_definitions_where_the_workspace_looks(place: str) -> None:
    asked = parsed(commands()[place]).params
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    [place_of_code] = [one["grpc_server"] for one in workspace["load_from"]]
    spec = importlib.util.find_spec(asked["module_name"])

    assert spec is not None
    assert spec.origin == str(PROJECT / "videomoments_dagster" / "definitions.py")
    assert asked["working_directory"] == "/opt/videomoments"
    assert asked["location_name"] == place_of_code["location_name"] == "videomoments"
    assert asked["socket"] == place_of_code["socket"]
    assert parsed(commands()["Dockerfile, health"]).params["socket"] == place_of_code["socket"]


def test_the_dockerfile_installs_as_the_makefile_does() -> None:
    def installs(text: str) -> list[list[str]]:
        lines = re.findall(r"(?:\$\(PIP\)|-m pip) install (--no[^|\n]*)", text)
        return [[word for word in line.split() if word != "--no-cache-dir"] for line in lines]

    makefile = (PROJECT / "Makefile").read_text()
    ours = [line.split(" && ")[0].split() for line in map(" ".join, installs(DOCKERFILE))]
    assert ours == installs(makefile)[:2]
    assert "python:3.12" in DOCKERFILE


def test_the_image_gets_all_that_the_dockerfile_copies_and_runs_as_somebody_without_rights() -> (
    None
):
    copied = [
        word
        for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    let_in = re.findall(r"^!(.*)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(let_in)
    assert all((PROJECT / name).exists() for name in copied)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["videomoments"]


def test_variables_are_ones_that_our_settings_read() -> None:
    named: dict[str, set[str]] = {}
    for path in UNITS:
        pairs = unit(path)["Service"]["Environment"].split()
        named[path.name] = {pair.partition("=")[0] for pair in pairs}
        assert named[path.name] == {"DAGSTER_HOME", "VIDEOMOMENTS_HOME", "PYTHONUNBUFFERED"}
    for name, service in SERVICES.items():
        if name != "postgres":
            named[name] = set(service["environment"])
            assert len(named[name]) == 2
    example = (DEPLOY / "example.env").read_text()
    named["example.env"] = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))

    for place, names in named.items():
        assert names <= known_variables() | FOREIGN | OF_COMPOSE, place
    assert asked == OF_COMPOSE
    assert {"DATABASE_URL", "VIDEOMOMENTS_DAGSTER_DATABASE_URL", "POSTGRES_PASSWORD"} <= set(
        re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)
    )


def test_database_urls_name_the_driver_that_is_installed() -> None:
    # Dagster hands them to SQLAlchemy as they are, which reads a bare `postgresql://` as psycopg 3.
    text = (DEPLOY / "example.env").read_text() + (DEPLOY / "compose.yaml").read_text()
    urls = re.findall(r"\bpostgres\w*(?:\+\w+)?://", text)
    assert len(urls) == 4
    assert set(urls) == {"postgresql+psycopg2://"}


def test_services_wait_for_services_that_can_say_that_they_are_ready() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", (name, other)
            else:
                assert condition == "service_healthy"
                # That of `code` is the image's own.
                assert "healthcheck" in SERVICES[other] or other == "code", (name, other)
    assert SERVICES["webserver"]["ports"] == ["127.0.0.1:3000:3000"]
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or source.startswith((".", "$")), volume


def test_the_webserver_that_is_deployed_is_the_guarded_one() -> None:
    places = [place for place in commands() if "webserver" in place and "health" not in place]
    assert len(places) == 2
    for place in places:
        found = parsed(commands()[place])
        assert (found.info_name, found.parent and found.parent.info_name) == (
            "webserver",
            "videomoments",
        ), place


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_come_back_by_themselves_and_give_nothing_away(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["Restart"] == "always"
    assert service["EnvironmentFile"] == "/etc/videomoments/videomoments.env"
    assert service["User"] == "videomoments"
    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
