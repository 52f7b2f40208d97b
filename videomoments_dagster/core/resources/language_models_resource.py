"""Language models and the extractive engine as one Dagster resource.

Belongs here: which engine the name in a profile stands for, and what its calls leave behind. Does
not belong here: asking (`videomoments_dagster.language_models`) or what is asked
(`videomoments_dagster.moments.finding`).
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.core.model_calls import (
    StoredAnswers,
    StoredCallRecords,
    forget_old_answers,
    remove_old_records,
)
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.scratch_resource import ScratchResource
from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.model_registry import (
    LanguageModel,
    key_of,
    load_models,
    model_named,
)
from videomoments_dagster.language_models.reachability import check_reachable
from videomoments_dagster.moments.finding.engines import (
    ExtractiveEngine,
    LanguageModelEngine,
    MomentEngine,
)
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL


class LanguageModelsResource(dg.ConfigurableResource[Any]):
    """The engines that find, score and refine moments, by the names that profiles use.

    Reads the file VIDEOMOMENTS_MODELS and keys from the environment, and asks models' servers;
    writes kept answers to the database and a record of each call to the object store. If it fails,
    the message names the entry of the file, or the variable with the key; `videomoments doctor`
    tries all.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    scratch: dg.ResourceDependency[ScratchResource]
    path: str = ""
    """The file of models; empty for the one that the project ships."""
    log_days: float = 30.0
    """Days after which records of calls are removed."""

    def check_names(self, names: Iterable[str]) -> None:
        """Make sure that every name is an engine's or a model's, and that its key is there.

        Raises:
            SettingsRejected: If one is not, or the file of models is invalid.
        """
        for model in self._models(names):
            key_of(model, os.environ)

    def check_servers(self, names: Iterable[str]) -> None:
        """Make sure, within seconds, that the server of each of these models answers.

        Raises:
            SettingsRejected: As `check_names`.
            LanguageModelRefused: If nobody answers, or the key is refused.
        """
        for model in self._models(names):
            check_reachable(model, key=key_of(model, os.environ))

    def engine(
        self,
        name: str,
        *,
        video: str,
        run_id: str,
        answers_since: datetime | None,
        said: Callable[[str], None],
    ) -> "MomentEngine":
        """The engine that a profile calls `name`.

        Args:
            name: `extractive`, or a model's name in the file of models.
            video: Identifier of the video that it works for.
            run_id: Dagster's id of the run.
            answers_since: Kept answers that are older are asked for again; UTC without zone.
                None takes them whatever their age.
            said: Takes sentences about progress.

        Raises:
            SettingsRejected: If there is no such model, or its key is missing.
        """
        if name == EXTRACTIVE_MODEL:
            return ExtractiveEngine()
        model = model_named(name, self._registry())
        return LanguageModelEngine(
            Interview(
                model=model,
                key=key_of(model, os.environ),
                kept=StoredAnswers(self.database.database, video=video, since=answers_since),
                log=StoredCallRecords(
                    self.object_store.store,
                    scratch=self.scratch.folder,
                    video=video,
                    run_id=run_id,
                ),
                said=said,
            )
        )

    def remove_old_records(self, video: str | None = None) -> int:
        """Remove records of calls that are older than `log_days`; how many.

        Args:
            video: Only this video's; None for all.
        """
        return remove_old_records(
            self.object_store.store,
            older_than=timedelta(days=self.log_days),
            now=datetime.now(UTC),
            video=video,
        )

    def forget_old_answers(self) -> int:
        """Delete answers that were kept longer than `log_days` ago; how many."""
        return forget_old_answers(
            self.database.database,
            older_than=timedelta(days=self.log_days),
            now=datetime.now(UTC),
        )

    def _registry(self) -> "dict[str, LanguageModel]":

        return load_models(Path(self.path) if self.path else None)

    def _models(self, names: Iterable[str]) -> "list[LanguageModel]":

        wanted = sorted(set(names) - {EXTRACTIVE_MODEL})
        registry = self._registry() if wanted else {}
        return [model_named(name, registry) for name in wanted]
