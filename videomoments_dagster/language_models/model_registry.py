"""The registry of language models: named servers and models, read from one validated file.

An entry in `models.yaml`:

    local:
      base_url: http://127.0.0.1:11434/v1
      model: qwen3:8b
      context_window: 32768

Keys never stand in the file: `api_key_env` names the environment variable that holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.named_entries import load_entries
from videomoments_dagster.language_models.questions import Sampling

_SHIPPED_MODELS = Path(__file__).with_name("models.yaml")
_ENGINES_WITHOUT_MODEL = ("extractive",)
_SHARE_OF_WINDOW_USED = 0.9
_SMALLEST_QUESTION = 512

_Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
_Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Checked):
    """What a million tokens cost."""

    input: _Price
    output: _Price


class LanguageModel(_Checked):
    """One entry of the registry.

    Attributes:
        name: What profiles call it, and what is stored in `generation_configs.model`.
        description: For people.
        base_url: Where the OpenAI-compatible interface begins, mostly ending in `/v1`.
        model: The model as the server knows it.
        api_key_env: Environment variable that holds the key; None for a server that wants none.
        context_window: Tokens that a question and its answer may have together.
        max_answer_tokens: Longest answer, tokens; a reasoning model's thoughts count.
        window_tokens: Longest question, tokens: models lose their way in long texts well before
            their context ends.
        sees_images: Whether questions may bring images.
        structured_output: What the server is asked for first; `auto` begins with a JSON schema
            and falls back to what the server takes.
        sampling: Where the profile says nothing.
        price: Per million tokens, or None.
        concurrency: Requests in flight at once.
        connect_seconds: Limit for making a connection.
        request_seconds: Limit for one request, from sending it to the last byte of the answer.
        stream: Whether answers are to come in pieces, so that progress shows how far they are; None
            asks for that from the first request on that takes longer than ten seconds.
        attempts: Requests for one question that fail in a way that may pass, the first included.
        longest_wait_seconds: Longest wait before a retry, whatever the server asks for.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: str = ""
    base_url: str
    model: Annotated[str, Field(min_length=1, max_length=300)]
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    context_window: Annotated[int, Field(ge=1024, le=100_000_000)]
    max_answer_tokens: Annotated[int, Field(ge=64, le=1_000_000)] = 4096
    window_tokens: Annotated[int, Field(ge=256, le=10_000_000)] = 6000
    sees_images: bool = False
    structured_output: Literal["auto", "json_schema", "json_object", "text"] = "auto"
    sampling: Sampling = Sampling()
    price: Price | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    connect_seconds: _Seconds = 10.0
    request_seconds: _Seconds = 300.0
    stream: bool | None = None
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    longest_wait_seconds: _Seconds = 60.0

    @field_validator("base_url")
    @classmethod
    def _is_a_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if any(character.isspace() or not character.isprintable() for character in value):
            raise ValueError("it has a space or a control character")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"'{value}' is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("it holds a user or password; keys belong into the environment")
        if parts.query or parts.fragment:
            raise ValueError("it has a '?' or '#'; paths are added to its end")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _question_and_answer_fit(self) -> Self:
        if self.prompt_tokens_at_most < _SMALLEST_QUESTION:
            raise ValueError(
                f"max_answer_tokens ({self.max_answer_tokens}) leaves no room for a question in a "
                f"context_window of {self.context_window}"
            )
        return self

    @property
    def prompt_tokens_at_most(self) -> int:
        """Tokens that a question may have.

        What the answer leaves free of nine tenths of the context window, since tokens are only
        estimated before a server counts them; at most `window_tokens`.
        """
        free = int(_SHARE_OF_WINDOW_USED * self.context_window) - self.max_answer_tokens
        return min(self.window_tokens, free)

    @property
    def identity(self) -> str:
        """Changes when the answers may: another model, or other limits for a question.

        The same model behind another address, at another price, or asked faster, answers alike.
        """
        return digest(
            [
                self.model,
                self.prompt_tokens_at_most,
                self.max_answer_tokens,
                self.sees_images,
                asdict(self.sampling),
            ]
        )[:16]

    def cost_of(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """What these tokens cost; None without a price or without counts."""
        if self.price is None or (prompt_tokens is None and completion_tokens is None):
            return None
        millionths = (prompt_tokens or 0) * self.price.input
        millionths += (completion_tokens or 0) * self.price.output
        return millionths / 1_000_000


def load_models(path: Path | None = None) -> dict[str, LanguageModel]:
    """Read and check a file of models; with `extends: shipped`, it adds to those shipped.

    Args:
        path: The file; None for the one that the project ships.

    Raises:
        SettingsRejected: If the file cannot be read, is no YAML mapping, or an entry has an
            unknown field or a value out of its range; the reason names entry and field.
    """
    return load_entries(path, "model", _entry, shipped=_SHIPPED_MODELS)


def _entry(name: str, body: object) -> LanguageModel:
    if name in _ENGINES_WITHOUT_MODEL:
        raise ValueError("it has the name of an engine that needs no model")
    if not isinstance(body, dict) or "name" in body:
        raise ValueError("it must map fields to values, and its name is the entry's own")
    return LanguageModel.model_validate({**body, "name": name})


def model_named(name: str, models: Mapping[str, LanguageModel]) -> LanguageModel:
    """The entry `name`.

    Raises:
        SettingsRejected: If there is none of that name; the remedy lists those that there are.
    """
    model = models.get(name)
    if model is None:
        known = ", ".join(sorted({*models, *_ENGINES_WITHOUT_MODEL}))
        raise SettingsRejected(
            f"there is no model '{name}' in the registry of models",
            remedy=f"Set the profile's `model` to one of: {known}; or add an entry to the file in "
            "VIDEOMOMENTS_MODELS",
        )
    return model


def key_of(model: LanguageModel, environment: Mapping[str, str]) -> str | None:
    """The key for a model's server, or None for one that wants none.

    Raises:
        SettingsRejected: If the variable that should hold it is unset or empty.
    """
    if model.api_key_env is None:
        return None
    key = environment.get(model.api_key_env, "").strip()
    if not key:
        raise SettingsRejected(
            f"the model '{model.name}' needs a key and the environment variable "
            f"{model.api_key_env} holds none",
            remedy=f"Set {model.api_key_env} where the pipeline runs",
        )
    if not key.isascii() or not key.isprintable():
        raise SettingsRejected(
            f"the key in the environment variable {model.api_key_env} has characters that no "
            "HTTP header takes",
            remedy=f"Set {model.api_key_env} to the key alone, without quotes or line breaks",
        )
    return key
