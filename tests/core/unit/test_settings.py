"""Settings come from their documented variables and from nothing else."""

from pathlib import Path

import pytest

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.core.settings import Settings, load_settings


def test_the_defaults_need_no_environment() -> None:
    settings = load_settings()
    assert settings.home_folder == Path.cwd() / ".videomoments"
    assert settings.object_store_root == str(Path.cwd() / ".videomoments" / "objects")
    assert settings.explicit_sync_url is None
    assert (settings.clip_padding_left, settings.clip_padding_right) == (15, 30)


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_only_variables_with_our_prefix_or_the_documented_six_count(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name.startswith("DATABASE_"):
        pytest.skip("one of the documented six, which have no prefix")
    before = load_settings().model_dump()
    # HOME, above all, is set everywhere and means something else.
    monkeypatch.setenv(name, "/somewhere/else")
    assert load_settings().model_dump() == before


def test_a_bad_value_is_refused_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_CLIP_METHOD", "banana")
    with pytest.raises(SettingsRejected, match="VIDEOMOMENTS_CLIP_METHOD"):
        load_settings()


def test_networks_that_are_none_are_refused_with_their_variable_and_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_ALLOWED_NETWORKS", "10.0.0.0/8,intranet")
    with pytest.raises(SettingsRejected) as rejected:
        load_settings()
    assert rejected.value.reason == (
        "the setting VIDEOMOMENTS_ALLOWED_NETWORKS is invalid: "
        "'intranet' is not a network such as 10.0.0.0/8 or 127.0.0.1/32"
    )
