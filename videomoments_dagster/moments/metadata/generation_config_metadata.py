"""What the UI tells about `generation_config`: parameters side by side, and prompts to read."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import dagster as dg

from videomoments_dagster.core.metadata_tables import table
from videomoments_dagster.moments.records import Prompt, SelectedConfigs

_LONGEST_PROMPT = 3_000
_LINE = 70
_SAMPLING = ("temperature", "top_p", "top_k")
_LIMITS = (
    ("shortest moment, seconds", "min_moment_length"),
    ("longest moment, seconds", "max_moment_length"),
    ("moments at least", "min_moments"),
    ("moments at most", "max_moments"),
)


def configs_metadata(configs: SelectedConfigs) -> dict[str, Any]:
    """A table of parameters, and the texts that a model is given."""
    three = (configs.generation, configs.refinement, configs.scoring)
    rows: list[tuple[str, ...]] = [("model", *(one.model for one in three))]
    rows += [(name, *(_shown(getattr(one, name)) for one in three)) for name in _SAMPLING]
    rows += [
        (name, *(_shown(getattr(one, field)) for one in three[:2]), "") for name, field in _LIMITS
    ]
    rows.append(("boundaries move at most, seconds", "", _shown(configs.max_shift_seconds), ""))
    columns = ("parameter", "finding", "refining", "scoring")
    return {
        "parameters": table(
            dict.fromkeys(columns, "string"), [row for row in rows if any(row[1:])]
        ),
        "max_shift_seconds": configs.max_shift_seconds,
        "prompts": dg.MetadataValue.md(_prompts(configs)),
    }


def _prompts(configs: SelectedConfigs) -> str:
    prompts = {
        "Finding": configs.generation.prompt,
        "Refining": configs.refinement.prompt,
        "Scoring": configs.scoring.prompt,
    }
    shown = [
        _prompt(name, prompt)
        for name, prompt in prompts.items()
        if prompt.user_prompt or prompt.system_prompt
    ]
    return "\n\n".join(shown) or "There are no prompts."


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _prompt(name: str, prompt: Prompt) -> str:
    return (
        f"### {name}\n\n**System prompt**\n\n{_block(prompt.system_prompt)}\n\n"
        f"**User prompt**\n\n{_block(prompt.user_prompt)}"
    )


def _block(text: str) -> str:
    """Text as it is, whatever it holds: the fence is longer than any in it."""
    if len(text) > _LONGEST_PROMPT:
        text = f"{text[:_LONGEST_PROMPT]}\n… and {len(text) - _LONGEST_PROMPT} characters more"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    # The UI does not wrap lines in a block.
    lines = [textwrap.fill(line, _LINE) for line in text.strip().splitlines()]
    return "\n".join([f"{fence}text", *lines, fence])
