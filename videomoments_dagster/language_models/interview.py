"""Asking one model many questions at once, bounded in time, with nothing asked twice."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic

import anyio
import anyio.from_thread
import anyio.to_thread

from videomoments_dagster.base.failures import LanguageModelRefused
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.progress import Progress
from videomoments_dagster.language_models.answers import (
    AnswerRejected,
    answer_before_cut,
    answer_schema,
    scrubbed,
    validated_answer,
)
from videomoments_dagster.language_models.chat_client import ChatClient
from videomoments_dagster.language_models.chat_protocol import (
    Consequence,
    Exchange,
    Messages,
    Problem,
    Refusal,
    RequestForm,
    Written,
    cut_off,
    opening_messages,
    tokens_of,
    without_images,
    written_answer,
)
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import (
    A,
    CallRecord,
    KeptAnswers,
    ListAnswer,
    Outcome,
    Purpose,
    Question,
    RequestLog,
    Spent,
    T,
    estimated_tokens,
)

_KEY_REVISION = "1"
"""Part of every key; another value lets all kept answers be asked for again."""

_FIRST_WAIT_SECONDS = 0.5
_SLOW_SECONDS = 10.0
_WHAT_IS_DONE: Mapping[Purpose, str] = {
    "find": "windows are read by the model",
    "score": "questions for scores are answered by the model",
    "refine": "moments are looked at by the model",
}
_MOST_OF_A_BAD_ANSWER = 4_000
_TOKENS_AROUND_A_REPAIR = 300


class Interview:
    """Asks one model; see `questions.Interviewer`.

    The questions are asked from a thread of their own: the main thread only waits, so that an
    interrupt reaches it at once and takes everything that is under way with it.

    Args:
        model: The model.
        key: Its key, or None.
        kept: Where answers are kept.
        log: Where calls are recorded.
        said: Takes sentences about progress, from any thread.
        clock: Gives seconds, for what is said about progress.
    """

    def __init__(
        self,
        *,
        model: LanguageModel,
        key: str | None,
        kept: KeptAnswers,
        log: RequestLog,
        said: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model_name, self.identity = model.name, model.identity
        self.sees_images = model.sees_images
        self.prompt_tokens_at_most = model.prompt_tokens_at_most
        self.model, self.key, self.kept, self.log = model, key, kept, log
        # What one question found out about the server, the others need not.
        self.form = RequestForm(model.structured_output.replace("auto", "json_schema"))
        self.streams = bool(model.stream)
        self.say, self._clock = said, clock

    def ask_all(self, questions: Sequence[Question[A, T]]) -> tuple[Outcome[T], ...]:
        """Ask all questions, several at once, and give the outcomes in their order.

        Raises:
            LanguageModelRefused: The server answers no question at all.
            VideoMomentsError: An answer could not be kept, or a call not be recorded.
        """
        questions = [self._completed(question) for question in questions]
        keys = [self._key_of(question) for question in questions]
        kept = self.kept.recall(sorted(set(keys))) if keys else {}
        outcomes: list[Outcome[T] | None] = []
        waiting: dict[str, Question[A, T]] = {}
        recalled: set[str] = set()
        for key, question in zip(keys, questions, strict=True):
            outcome = _again(question, kept.get(key))
            if outcome is None:
                waiting.setdefault(key, question)
            elif key in recalled:
                outcome = replace(outcome, spent=Spent(), repeats=True)
            else:
                recalled.add(key)
            outcomes.append(outcome)
        different = len(set(keys))
        if len(waiting) < different:
            found = different - len(waiting)
            self.say(f"Of {different} answers, {found} were kept from before.")
        answered: dict[str, Outcome[T]] = {}
        if waiting:
            with (
                Progress(
                    self.say, _WHAT_IS_DONE[questions[0].purpose], clock=self._clock
                ) as progress,
                anyio.from_thread.start_blocking_portal() as portal,
            ):
                answered = portal.call(self._ask_waiting, waiting, progress)

        def settled(key: str, question: Question[A, T]) -> Outcome[T]:
            # What was asked twice over is paid for once.
            if waiting.pop(key, None) is not None:
                return answered[key]
            first = answered[key]
            if first.failure:
                return replace(first, spent=Spent(), repeats=True)
            again = _again(question, self.kept.recall([key]).get(key))
            if again is None:
                nothing = "the same question gave no answer"
                return replace(first, value=None, spent=Spent(), failure=nothing)
            return replace(again, spent=Spent(), repeats=True)

        return tuple(
            outcome or settled(key, question)
            for key, question, outcome in zip(keys, questions, outcomes, strict=True)
        )

    def _completed(self, question: Question[A, T]) -> Question[A, T]:
        """A question with what the model's entry says where it says nothing itself."""
        own = {key: value for key, value in asdict(question.sampling).items() if value is not None}
        return replace(
            question,
            sampling=replace(self.model.sampling, **own),
            max_answer_tokens=question.max_answer_tokens or self.model.max_answer_tokens,
        )

    def _key_of(self, question: Question[A, T]) -> str:
        """Everything that determines an answer; where the server is, does not."""
        return digest(
            [
                _KEY_REVISION,
                self.model.model,
                question.system,
                question.user,
                [hashlib.sha256(image).hexdigest() for image in question.images],
                answer_schema(question.answer_type),
                list(asdict(question.sampling).values()),
                question.max_answer_tokens,
            ]
        )

    async def _ask_waiting(
        self, waiting: Mapping[str, Question[A, T]], progress: Progress
    ) -> dict[str, Outcome[T]]:
        answered: dict[str, Outcome[T]] = {}
        failed: list[Exception] = []
        free = asyncio.Semaphore(self.model.concurrency)

        tokens = 0

        def hear(more: int) -> None:
            nonlocal tokens
            tokens += more
            progress.beside(f"{tokens} tokens so far")

        progress.count(0, len(waiting))
        async with (
            aclosing(ChatClient(self.model, key=self.key, heard=hear)) as client,
            anyio.create_task_group() as group,
        ):

            async def ask(key: str, question: Question[A, T]) -> None:
                async with free:
                    try:
                        answered[key] = await _Conversation(self, client, question, key).outcome()
                        progress.count(len(answered), len(waiting))
                        if failure := answered[key].failure:
                            told = ". ".join(filter(None, (failure, answered[key].remedy)))
                            self.say(f"There is no answer for {question.label}: {told}.")
                    except Exception as error:  # noqa: BLE001 - raised again by the main thread
                        failed.append(error)
                        group.cancel_scope.cancel()

            for key, question in waiting.items():
                group.start_soon(ask, key, question)
        if failed:
            raise failed[0]
        return answered


def _again(question: Question[A, T], answer: str | None) -> Outcome[T] | None:
    """What a kept answer comes to; None where there is none that still fits."""
    if answer is None:
        return None
    try:
        parsed = validated_answer(answer, question.answer_type)
        # Before answers noted whether they were cut, an empty one may have followed a cut.
        if isinstance(parsed, ListAnswer) and not parsed.entries and '"cut"' not in answer:
            return None
        interpreted = question.interpret(parsed)
    except ValueError:
        return None
    return Outcome(value=interpreted.value, spent=Spent(kept_answers=1))


@dataclass(slots=True)
class _Conversation(Generic[A, T]):
    """One question with its retries and its repair.

    Attributes:
        cut: How an answer of this conversation was cut off; empty where none was.
        remedy: Which setting helps.
    """

    interview: Interview
    client: ChatClient
    question: Question[A, T]
    answer_key: str
    spent: Spent = field(default_factory=Spent)
    cut: str = ""
    remedy: str = ""

    async def outcome(self) -> Outcome[T]:
        messages: Messages = opening_messages(self.question)
        while True:
            exchange = await self._answered(messages)
            if problem := exchange.problem:
                if problem.consequence is Consequence.NO_MORE_QUESTIONS:
                    # Servers quote the key that they refuse.
                    sentence = scrubbed(problem.sentence, self.interview.key)
                    raise LanguageModelRefused(sentence, remedy=problem.remedy)
                may_pass = problem.consequence is Consequence.TRY_AGAIN
                return self._failure(problem.sentence, problem.remedy, retryable=may_pass)
            written = Written("", cut=False)
            try:
                written = written_answer(exchange.payload)
                parsed = self._parsed(exchange, written)
                interpreted = self.question.interpret(parsed)
            except Refusal as refusal:
                await self._record(exchange, rejected=str(refusal))
                return self._failure(str(refusal))
            except ValueError as rejected:
                reason = str(rejected)
                if written.cut:
                    reason = f"It was {self.cut}. {reason} Answer more briefly."
                await self._record(exchange, rejected=reason)
                if self.spent.repairs:
                    return self._unusable(str(rejected))
                self.spent += Spent(repairs=1)
                messages = [*messages, *self._asked_to_mend(messages, written.text, reason)]
                continue
            notes = dict(interpreted.notes)
            if isinstance(parsed, ListAnswer) and parsed.cut:
                notes["cut"] = self.cut
                self.interview.say(
                    f"The answer about {self.question.label} was {self.cut}; its {parsed.entries} "
                    f"whole entries are used. {self.remedy}."
                )
            # It is paid for: neither another question's end nor a log that is away may lose it.
            with anyio.CancelScope(shield=True):
                answer = parsed.model_dump_json()
                await anyio.to_thread.run_sync(self.interview.kept.keep, self.answer_key, answer)
                await self._record(exchange, parsed=parsed.model_dump(mode="json"), notes=notes)
            return Outcome(value=interpreted.value, spent=self.spent)

    def _parsed(self, exchange: Exchange, written: Written) -> A:
        """The answer; of one that was cut off, what is whole of it.

        Raises:
            AnswerRejected: If it cannot be used. One without an entry cannot where a limit ended
                this answer or the one before: what it leaves out is not known.
        """
        answer_type = self.question.answer_type
        if written.cut:
            self.cut, self.remedy = cut_off(
                self.interview.model,
                tokens_at_most=self.question.max_answer_tokens,
                tokens=tokens_of(exchange.payload)[1],
            )
        read = answer_before_cut if written.cut else validated_answer
        parsed = read(written.text, answer_type)
        if not isinstance(parsed, ListAnswer):
            return parsed
        if self.cut and not parsed.entries:
            raise AnswerRejected("It named nothing.")
        # Whether there was a cut, the server says, and never the model.
        return parsed if written.cut else parsed.model_copy(update={"cut": False})

    def _unusable(self, rejection: str) -> Outcome[T]:
        first, second = "could not be used", "and neither could its second"
        if self.cut:
            first, second = f"was {self.cut}", "and none that it gave could be used"
        rejection = rejection.rstrip(".")
        return self._failure(f"the model's answer {first}, {second}: {rejection}", self.remedy)

    def _asked_to_mend(self, messages: Messages, text: str, rejection: str) -> list[dict[str, Any]]:
        """The turns that follow a bad answer: as much of it as fits, and what is wrong."""
        model = self.interview.model
        taken = (self.question.max_answer_tokens or 0) + _TOKENS_AROUND_A_REPAIR
        taken += sum(estimated_tokens(str(without_images(message))) for message in messages)
        shown = text[:_MOST_OF_A_BAD_ANSWER]
        while shown and estimated_tokens(shown) > model.context_window - taken:
            shown = shown[: len(shown) * 3 // 4]
        asked = (
            f"That answer cannot be used. {rejection} Answer again, with the whole JSON and "
            "nothing else."
        )
        return [
            {"role": "assistant", "content": shown or "(nothing)"},
            {"role": "user", "content": asked},
        ]

    def _failure(self, sentence: str, remedy: str = "", *, retryable: bool = False) -> Outcome[T]:
        sentence = scrubbed(sentence, self.interview.key)
        return Outcome(
            value=None, spent=self.spent, failure=sentence, remedy=remedy, retryable=retryable
        )

    async def _answered(self, messages: Messages) -> Exchange:
        """Send until there is a response, or a problem that sending again does not solve."""
        model, form, failures = self.interview.model, self.interview.form, 0
        while True:
            streams = self.interview.streams
            body = form.body(model.model, messages, self.question, stream=streams)
            exchange = await self.client.send(body)
            if model.stream is None and exchange.seconds >= _SLOW_SECONDS:
                self.interview.streams = True
            problem = exchange.problem
            if problem is None:
                self.interview.form = form
                return exchange
            await self._record(exchange)
            if problem.consequence is Consequence.CHANGE_FORM:
                other = form.after_refusal(problem.message, body)
                if other is None:
                    return exchange
                form = other
                continue
            if problem.consequence is not Consequence.TRY_AGAIN:
                return exchange
            failures += 1
            wait = exchange.retry_after
            if failures >= model.attempts:
                why = "once" if failures == 1 else f"{failures} times in a row"
            elif wait is not None and wait > (longest := model.longest_wait_seconds):
                why = (
                    f"and it asks to wait {wait:.0f} s, longer than the {longest:g} s that the "
                    "models file allows"
                )
            else:
                await anyio.sleep(_backoff(failures, model) if wait is None else wait)
                continue
            return replace(
                exchange, problem=Problem(f"{problem.sentence}, {why}", Consequence.TRY_AGAIN)
            )

    async def _record(
        self, exchange: Exchange, *, parsed: Any = None, rejected: str = "", notes: Any = None
    ) -> None:
        """Add up what an exchange took, and log it; once for each."""
        key = self.interview.key
        prompt_tokens, completion_tokens = tokens_of(exchange.payload)
        cost = self.interview.model.cost_of(prompt_tokens, completion_tokens)
        self.spent += Spent(
            calls=1,
            prompt_tokens=prompt_tokens or 0,
            completion_tokens=completion_tokens or 0,
            cost=cost,
        )
        record = CallRecord(
            purpose=self.question.purpose,
            label=self.question.label,
            model_name=self.interview.model.name,
            served_model=self.interview.model.model,
            attempt=self.spent.calls,
            request=scrubbed(without_images(exchange.body), key),
            status=exchange.status,
            response=scrubbed(exchange.payload, key),
            error=scrubbed(exchange.problem.sentence, key) if exchange.problem else "",
            parsed=scrubbed(parsed, key),
            rejected=scrubbed(rejected, key),
            notes=scrubbed(dict(notes or {}), key),
            started_at=exchange.started_at,
            seconds=exchange.seconds,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=cost,
        )
        await anyio.to_thread.run_sync(self.interview.log.record, record)


def _backoff(failures: int, model: LanguageModel) -> float:
    """Seconds to wait after so many failures, where the server does not say.

    Longer each time, and spread, so that requests that failed together do not come back together
    ("Exponential Backoff And Jitter", M. Brooker, AWS Architecture Blog, 2015).
    """
    longest = min(_FIRST_WAIT_SECONDS * 2.0 ** (failures - 1), model.longest_wait_seconds)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
