"""Merges the systems' definitions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from videomoments_dagster.core.assembly import core_definitions, shared_resources
from videomoments_dagster.core.settings import Settings, load_settings
from videomoments_dagster.moments.definitions import moments_definitions, moments_resources
from videomoments_dagster.moments.system import MOMENTS


def resources_for(settings: Settings) -> dict[str, Any]:
    """All resources, by the names that assets and the command line ask for them."""
    shared = shared_resources(settings, [MOMENTS])
    return {**shared, **moments_resources(settings, shared)}


def build_definitions(
    settings: Settings | None = None, *, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions, with some resources replaced where a test wants that.

    Args:
        settings: Settings to take resources from; None reads the environment.
        resources: Resources by name that take the place of the usual ones.
    """
    settings = settings or load_settings()
    return dg.Definitions.merge(
        core_definitions(settings),
        moments_definitions(settings),
        dg.Definitions(resources={**resources_for(settings), **(resources or {})}),
    )


@lru_cache(maxsize=1)
def _definitions_of(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


def current_definitions() -> dg.Definitions:
    """Definitions of the settings as they are now; the same ones while those stay."""
    return _definitions_of(load_settings())


defs = current_definitions()
