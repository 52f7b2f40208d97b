"""Asking one model many questions at once, bounded in time, with nothing asked twice.

Belongs here: concurrency, retries, the repair of an answer, and keeping answers as they come. Does
not belong here: HTTP (`chat_client`), or what questions and answers mean.

The questions are asked from a thread of their own: the main thread only waits, so that an
interrupt reaches it at once and takes everything that is under way with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import anyio
import anyio.from_thread
import anyio.to_thread

from videomoments_dagster.base.failures import LanguageModelRefused
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.progress import Progress
from videomoments_dagster.language_models.answer_schema import answer_schema
from videomoments_dagster.language_models.answer_text import AnswerRejected, validated_answer
from videomoments_dagster.language_models.chat_client import ChatClient, Exchange
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import (
    A,
    CallRecord,
    KeptAnswers,
    Outcome,
    Purpose,
    Question,
    RequestLog,
    Spent,
    T,
)
from videomoments_dagster.language_models.received_json import scrubbed
from videomoments_dagster.language_models.replies import Refusal, tokens_of, written_answer
from videomoments_dagster.language_models.request_form import (
    Messages,
    RequestForm,
    opening_messages,
    sampling_of,
    without_images,
)
from videomoments_dagster.language_models.server_problems import Consequence, Problem

_KEY_REVISION = "1"
"""Part of every key; another value lets all kept answers be asked for again."""

_FIRST_WAIT_SECONDS = 0.5
_WHAT_IS_DONE: Mapping[Purpose, str] = {
    "find": "windows are read by the model",
    "score": "questions for scores are answered by the model",
    "refine": "moments are looked at by the model",
}
_MOST_OF_A_BAD_ANSWER = 4_000


@dataclass(slots=True)
class _Desk:
    """What all conversations of one interview share."""

    model: LanguageModel
    key: str | None
    kept: KeptAnswers
    log: RequestLog
    form: RequestForm


class Interview:
    """Asks one model; see `questions.Interviewer`."""

    def __init__(
        self,
        *,
        model: LanguageModel,
        key: str | None,
        kept: KeptAnswers,
        log: RequestLog,
        said: Callable[[str], None],
    ) -> None:
        """Prepare to ask.

        Args:
            model: The model.
            key: Its key, or None.
            kept: Where answers are kept.
            log: Where calls are recorded.
            said: Takes sentences about progress, from any thread.
        """
        self._model = model
        self._kept = kept
        self._said = said
        form = RequestForm.first_for(model)
        self._desk = _Desk(model=model, key=key, kept=kept, log=log, form=form)

    @property
    def model_name(self) -> str:
        """Name of the model in the registry."""
        return self._model.name

    @property
    def identity(self) -> str:
        """Changes when the model behind the name does."""
        return self._model.identity

    @property
    def sees_images(self) -> bool:
        """Whether questions may bring images."""
        return self._model.sees_images

    @property
    def prompt_tokens_at_most(self) -> int:
        """How many tokens a question's messages may have."""
        return self._model.prompt_tokens_at_most

    def ask_all(self, questions: Sequence[Question[A, T]]) -> tuple[Outcome[T], ...]:
        """Ask all questions, several at once, and give the outcomes in their order.

        Raises:
            LanguageModelRefused: The server wants no question at all.
            VideoMomentsError: An answer could not be kept, or a call not be recorded.
        """
        keys = [self._key_of(question) for question in questions]
        remembered = self._kept.recall(sorted(set(keys))) if keys else {}
        answered: dict[str, Outcome[T]] = {}
        waiting: dict[str, Question[A, T]] = {}
        for key, question in zip(keys, questions, strict=True):
            if key in answered or key in waiting:
                continue
            outcome = _again(question, remembered.get(key))
            if outcome is None:
                waiting[key] = question
            else:
                answered[key] = outcome
        if answered:
            self._said(f"Of {len(set(keys))} answers, {len(answered)} were kept from before.")
        if waiting:
            with (
                Progress(self._said, _WHAT_IS_DONE[questions[0].purpose]) as progress,
                anyio.from_thread.start_blocking_portal() as portal,
            ):
                answered |= portal.start_task_soon(self._ask_waiting, waiting, progress).result()
        return self._in_order(keys, questions, answered)

    def _in_order(
        self,
        keys: Sequence[str],
        questions: Sequence[Question[A, T]],
        answered: Mapping[str, Outcome[T]],
    ) -> tuple[Outcome[T], ...]:
        """Each question's outcome; what was asked twice over is paid for once."""
        seen: set[str] = set()
        outcomes: list[Outcome[T]] = []
        for key, question in zip(keys, questions, strict=True):
            outcome = answered[key]
            if key in seen:
                again = _again(question, self._kept.recall([key]).get(key))
                outcome = again or Outcome(
                    value=None,
                    spent=Spent(),
                    failure=outcome.failure or "the same question gave no answer",
                    retryable=outcome.retryable,
                )
            seen.add(key)
            outcomes.append(outcome)
        return tuple(outcomes)

    def _key_of(self, question: Question[A, T]) -> str:
        """Everything that determines an answer; where the server is, does not."""
        sampling = sampling_of(self._model, question.sampling)
        return digest(
            [
                _KEY_REVISION,
                self._model.model,
                question.system,
                question.user,
                [hashlib.sha256(image).hexdigest() for image in question.images],
                answer_schema(question.answer_type),
                [sampling.temperature, sampling.top_p, sampling.top_k],
                question.max_answer_tokens or self._model.max_answer_tokens,
            ]
        )

    async def _ask_waiting(
        self, waiting: Mapping[str, Question[A, T]], progress: Progress
    ) -> dict[str, Outcome[T]]:
        answered: dict[str, Outcome[T]] = {}
        failed: list[Exception] = []
        free = asyncio.Semaphore(self._model.concurrency)

        async def ask(client: ChatClient, key: str, question: Question[A, T]) -> None:
            async with free:
                try:
                    outcome = await _Conversation(self._desk, client, question, key=key).outcome()
                    answered[key] = outcome
                    progress.count(len(answered), len(waiting))
                    if outcome.failure:
                        self._said(f"There is no answer for {question.label}: {outcome.failure}.")
                except Exception as error:  # noqa: BLE001 - raised again by the main thread
                    failed.append(error)
                    group.cancel_scope.cancel()

        progress.count(0, len(waiting))
        async with (
            ChatClient(self._model, key=self._desk.key) as client,
            anyio.create_task_group() as (group),
        ):
            for key, question in waiting.items():
                group.start_soon(ask, client, key, question)
        if failed:
            raise failed[0]
        return answered


def _again(question: Question[A, T], answer: str | None) -> Outcome[T] | None:
    """What a kept answer comes to; None where there is none that still fits."""
    if answer is None:
        return None
    try:
        interpreted = question.interpret(validated_answer(answer, question.answer_type))
    except (AnswerRejected, ValueError):
        return None
    return Outcome(value=interpreted.value, spent=Spent(kept_answers=1))


class _Conversation:
    """One question with its retries and its repair."""

    def __init__(
        self, desk: _Desk, client: ChatClient, question: Question[A, T], *, key: str
    ) -> None:
        self._desk = desk
        self._client = client
        self._question = question
        self._answer_key = key
        self._spent = Spent()
        self._attempt = 0

    async def outcome(self) -> Outcome[Any]:
        messages = opening_messages(self._question)
        first_rejection = ""
        while True:
            exchange, problem = await self._answered(messages)
            if problem is not None:
                # Servers quote the key that they refuse.
                if problem.consequence is Consequence.NO_QUESTION_WILL_BE_ANSWERED:
                    told = str(scrubbed(problem.sentence, self._desk.key))
                    raise LanguageModelRefused(told, remedy=problem.remedy)
                return self._failure(
                    problem.sentence, retryable=problem.consequence is Consequence.MAY_PASS
                )
            text = ""
            try:
                text = written_answer(exchange.payload)
                parsed = validated_answer(text, self._question.answer_type)
                interpreted = self._question.interpret(parsed)
            except Refusal as refusal:
                await self._record(exchange, rejected=str(refusal))
                return self._failure(str(refusal), retryable=False)
            except (AnswerRejected, ValueError) as rejected:
                await self._record(exchange, rejected=str(rejected))
                if first_rejection:
                    return self._failure(
                        f"the model's answer could not be used, and neither could its second: "
                        f"{str(rejected).rstrip('.')}",
                        retryable=False,
                    )
                first_rejection = str(rejected)
                self._spent += Spent(repairs=1)
                messages = [*messages, *_asked_to_mend(text, first_rejection)]
                continue
            # It is paid for: neither another question's end nor a log that is away may lose it.
            with anyio.CancelScope(shield=True):
                answer = parsed.model_dump_json()
                await anyio.to_thread.run_sync(self._desk.kept.keep, self._answer_key, answer)
                await self._record(
                    exchange, parsed=parsed.model_dump(mode="json"), notes=interpreted.notes
                )
            return Outcome(value=interpreted.value, spent=self._spent)

    def _failure(self, sentence: str, *, retryable: bool) -> Outcome[Any]:
        told = str(scrubbed(sentence, self._desk.key))
        return Outcome(value=None, spent=self._spent, failure=told, retryable=retryable)

    async def _answered(self, messages: Messages) -> tuple[Exchange, Problem | None]:
        """Send until there is a response, or a problem that sending again does not solve."""
        model, form = self._desk.model, self._desk.form
        failures = 0
        while True:
            exchange = await self._client.send(
                form.body(
                    model,
                    messages,
                    answer_type=self._question.answer_type,
                    sampling=sampling_of(model, self._question.sampling),
                    max_answer_tokens=self._question.max_answer_tokens or model.max_answer_tokens,
                )
            )
            self._note_spent(exchange)
            problem = exchange.problem
            if problem is None:
                # What one question found out, the others need not.
                self._desk.form = form
                return exchange, None
            await self._record(exchange)
            if problem.consequence is Consequence.REQUEST_UNSUITED:
                other = form.after_refusal(problem.message)
                if other is None:
                    return exchange, problem
                form = other
                continue
            if problem.consequence is not Consequence.MAY_PASS:
                return exchange, problem
            failures += 1
            if failures >= model.attempts:
                times = "once" if failures == 1 else f"{failures} times in a row"
                return exchange, Problem(f"{problem.sentence}, {times}", Consequence.MAY_PASS)
            asked = exchange.retry_after
            if asked is not None and asked > model.longest_wait_seconds:
                return exchange, Problem(
                    f"{problem.sentence}, and it asks to wait {asked:.0f} s, longer than the "
                    f"{model.longest_wait_seconds:g} s that the models file allows",
                    Consequence.MAY_PASS,
                )
            await anyio.sleep(_backoff(failures, model) if asked is None else asked)

    def _note_spent(self, exchange: Exchange) -> None:
        prompt_tokens, completion_tokens = tokens_of(exchange.payload)
        self._attempt += 1
        self._spent += Spent(
            calls=1,
            prompt_tokens=prompt_tokens or 0,
            completion_tokens=completion_tokens or 0,
            cost=self._desk.model.cost_of(prompt_tokens, completion_tokens),
        )

    async def _record(
        self,
        exchange: Exchange,
        *,
        parsed: Any = None,
        rejected: str = "",
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        model, key = self._desk.model, self._desk.key
        prompt_tokens, completion_tokens = tokens_of(exchange.payload)
        record = CallRecord(
            purpose=self._question.purpose,
            label=self._question.label,
            model_name=model.name,
            served_model=model.model,
            attempt=self._attempt,
            request=cast("dict[str, Any]", scrubbed(without_images(exchange.body), key)),
            status=exchange.status,
            response=scrubbed(exchange.payload, key),
            error=scrubbed(exchange.problem.sentence, key) if exchange.problem else "",
            parsed=scrubbed(parsed, key),
            rejected=scrubbed(rejected, key),
            notes=cast("dict[str, Any]", scrubbed(dict(notes or {}), key)),
            started_at=exchange.started_at,
            seconds=exchange.seconds,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=model.cost_of(prompt_tokens, completion_tokens),
        )
        await anyio.to_thread.run_sync(self._desk.log.record, record)


def _asked_to_mend(text: str, rejection: str) -> list[dict[str, Any]]:
    """The turns that follow a bad answer."""
    shown = text[:_MOST_OF_A_BAD_ANSWER] or "(nothing)"
    return [
        {"role": "assistant", "content": shown},
        {
            "role": "user",
            "content": f"That answer cannot be used. {rejection} "
            "Answer again, with the whole JSON and nothing else.",
        },
    ]


def _backoff(failures: int, model: LanguageModel) -> float:
    """Seconds to wait after so many failures, where the server does not say.

    Longer each time, and spread, so that requests that failed together do not come back together
    ("Exponential Backoff And Jitter", M. Brooker, AWS Architecture Blog, 2015).
    """
    longest = min(_FIRST_WAIT_SECONDS * 2.0 ** (failures - 1), model.longest_wait_seconds)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
