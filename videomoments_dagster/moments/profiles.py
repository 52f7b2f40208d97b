"""Generation profiles: named sets of prompts and parameters, read from one validated file.

A profile in `profiles.yaml`:

    shorts:
      generation: {model: local, user_prompt: ..., system_prompt: ..., max_moments: 20}
      refinement: {model: local, user_prompt: ..., system_prompt: ..., max_shift_seconds: 3}
      scoring: {model: openai, user_prompt: ..., system_prompt: ...}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.base.named_entries import load_entries
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
)

SHIPPED_PROFILES = Path(__file__).with_name("profiles.yaml")

DEFAULT_PROFILE = "default"

_Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
_PositiveSeconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class _Operation(BaseModel):
    """What finding, refining and scoring have in common: a model, its prompts and its sampling."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1, max_length=100)]
    user_prompt: str
    system_prompt: str
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None

    def prompt_and_sampling(self) -> dict[str, Any]:
        """The fields of a configuration that all operations have."""
        return {
            "prompt": Prompt(user_prompt=self.user_prompt, system_prompt=self.system_prompt),
            **self.model_dump(include={"model", "temperature", "top_p", "top_k"}),
        }


class GenerationParameters(_Operation):
    """Parameters of the search for root moments."""

    min_moment_length: _Seconds | None = None
    max_moment_length: _PositiveSeconds | None = None
    min_moments: Annotated[int, Field(ge=0, le=10_000)] | None = None
    max_moments: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _minimum_is_not_above_maximum(self) -> Self:
        for what in ("moment_length", "moments"):
            low, high = f"min_{what}", f"max_{what}"
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} ({least:g}) is greater than {high} ({most:g})")
        return self


class RefinementParameters(_Operation):
    """Parameters of the search for better boundaries; the length limits are generation's."""

    max_shift_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 5.0


class ScoringParameters(_Operation):
    """Parameters of scoring; the user prompt holds the written criteria."""


_EXTRACTIVE_SCORING = ScoringParameters(model="extractive", user_prompt="", system_prompt="")


class Profile(BaseModel):
    """One named profile. Without `scoring`, moments are scored by their words alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    generation: GenerationParameters
    refinement: RefinementParameters
    scoring: ScoringParameters = _EXTRACTIVE_SCORING

    def selected(self, name: str) -> SelectedConfigs:
        """The configurations of this profile under its name."""
        limits = self.generation.model_dump(
            include={"min_moment_length", "max_moment_length", "min_moments", "max_moments"}
        )
        return SelectedConfigs(
            profile=name,
            generation=GenerationConfig(
                operation_type="generation", **self.generation.prompt_and_sampling(), **limits
            ),
            refinement=GenerationConfig(
                operation_type="refinement", **self.refinement.prompt_and_sampling(), **limits
            ),
            scoring=ScoringConfig(**self.scoring.prompt_and_sampling()),
            max_shift_seconds=self.refinement.max_shift_seconds,
        )


def load_profiles(path: Path | None = None) -> dict[str, Profile]:
    """Read and check a file of profiles; with `extends: shipped`, it adds to those shipped.

    Args:
        path: The file; None for the one that the project ships.

    Raises:
        SettingsRejected: If the file cannot be read, is no YAML mapping, or a profile has an
            unknown field or a value out of its range; the reason names profile and field.
    """
    return load_entries(
        path, "profile", lambda _, body: Profile.model_validate(body), shipped=SHIPPED_PROFILES
    )


def profile_named(name: str, profiles: dict[str, Profile]) -> SelectedConfigs:
    """The configurations of the profile `name`.

    Raises:
        SettingsRejected: If there is none of that name; the remedy lists those that there are.
    """
    if name not in profiles:
        raise SettingsRejected(
            f"there is no generation profile '{name}'",
            remedy=f"Choose one of: {', '.join(sorted(profiles))}",
        )
    return profiles[name].selected(name)
