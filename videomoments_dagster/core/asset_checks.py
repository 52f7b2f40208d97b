"""Asset checks: of what a step just made, and of what is stored, whenever somebody looks.

A rule is a pure function from values to a `CheckOutcome`; its parameters name the values that it
wants, as an asset's do.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

_SHOWN = 10

WARN = dg.AssetCheckSeverity.WARN
ERROR = dg.AssetCheckSeverity.ERROR


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What a rule found.

    Attributes:
        problems: Sentences about what does not hold, without a full stop; none where all does.
        holds: A sentence for where all holds.
        remedy: What to do where it does not, without a full stop.
        metadata: Numbers to show with it.
    """

    problems: Sequence[str]
    holds: str
    remedy: str
    metadata: Mapping[str, int] = field(default_factory=dict)

    def result(
        self, *, severity: dg.AssetCheckSeverity, check_name: str | None = None
    ) -> dg.AssetCheckResult:
        """The same as a result of Dagster's.

        Args:
            severity: How bad it is where it fails.
            check_name: The check, where its step has several.
        """
        problems = self.problems
        metadata: dict[str, Any] = dict(self.metadata) or {"problems": len(problems)}
        if len(problems) > 1 and not self.metadata:
            shown = [f"- {problem}" for problem in problems[:_SHOWN]]
            if len(problems) > _SHOWN:
                shown.append(f"- and {len(problems) - _SHOWN} more")
            metadata["all_problems"] = dg.MetadataValue.text("\n".join(shown))
        return dg.AssetCheckResult(
            check_name=check_name,
            passed=not problems,
            severity=severity,
            description=self._sentence() if problems else self.holds,
            metadata=metadata,
        )

    def _sentence(self) -> str:
        first, count = self.problems[0], len(self.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        return f"{first[:1].upper()}{first[1:]}{more}. {self.remedy}."


Rule = Callable[..., CheckOutcome]


@dataclass(frozen=True, slots=True)
class ResultCheck:
    """A check of what an asset just made, in its own step: the values are at hand.

    Attributes:
        rule: Takes the asset's value first, then inputs, `details` or `config` by name.
        description: What it looks at, and what to do when it fails.
        severity: How bad it is where it fails.
        blocking: Whether assets downstream wait for it, and don't begin where it fails.
    """

    rule: Rule
    description: str
    severity: dg.AssetCheckSeverity
    blocking: bool

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.__name__

    def spec(
        self, asset: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
    ) -> dg.AssetCheckSpec:
        """Dagster's spec of it."""
        with previews_accepted():
            return dg.AssetCheckSpec(
                name=self.name,
                asset=asset,
                description=self.description,
                blocking=self.blocking,
                partitions_def=partitions,
            )

    def result(self, value: Any, available: Mapping[str, Any]) -> dg.AssetCheckResult:
        """Apply the rule to a value."""
        outcome: CheckOutcome = called_by_name(self.rule, value, available)
        return outcome.result(severity=self.severity, check_name=self.name)


def result_check(
    description: str,
    *,
    severity: dg.AssetCheckSeverity = ERROR,
    blocking: bool = False,
) -> Callable[[Rule], ResultCheck]:
    """Make a `ResultCheck` of a rule; the function's name becomes the check's."""
    return lambda rule: ResultCheck(rule, description, severity, blocking)


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A check of what is stored of an asset, rows and objects as they are now.

    Attributes:
        rule: Takes the `StoredPartition`.
        description: What it looks at, and what to do when it fails.
    """

    rule: Rule
    description: str


def stored_check(description: str) -> Callable[[Rule], StoredCheck]:
    """Make a `StoredCheck` of a rule."""
    return lambda rule: StoredCheck(rule, description)


def called_by_name(function: Callable[..., Any], value: Any, available: Mapping[str, Any]) -> Any:
    """Call a function with a value, and with those of `available` that its parameters name."""
    _, *wanted = inspect.signature(function).parameters
    return function(value, **{name: available[name] for name in wanted})


@contextmanager
def previews_accepted() -> Iterator[None]:
    """Partitioned checks made without a warning.

    Whoever starts this project can do nothing about Dagster calling them a preview.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield
