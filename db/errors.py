"""The root of all failures that a user may see, and those of the database.

It imports nothing, so that everything else can derive its failures from it. No message ever
carries a password.
"""

from __future__ import annotations

from typing import ClassVar, Self


class VideoMomentsError(Exception):
    """Something that a user can understand and mostly mend.

    Attributes:
        reason: One sentence without a full stop, naming the thing that failed.
        remedy: What the user does about it, as a sentence without a full stop; may be empty.
        subject: What it happened to, such as "video 'talk'", when that is known.
        step: Name of the asset or command that failed, when one is known.
        retryable: Whether the same call may succeed later without anybody doing anything.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self, reason: str, *, remedy: str = "", subject: str | None = None, step: str | None = None
    ) -> None:
        super().__init__(reason, remedy)
        self.reason = reason.rstrip(".")
        self.remedy = remedy.rstrip(".")
        self.subject = subject
        self.step = step

    def located(self, *, subject: str | None, step: str) -> Self:
        """Fill in the subject and the step where the raiser did not know them."""
        self.subject = self.subject or subject
        self.step = self.step or step
        return self

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.subject, self.step and f"step {self.step}")))
        sentences = f"{self.reason}." + (f" {self.remedy}." if self.remedy else "")
        return f"{where}: {sentences}" if where else sentences


class DatabaseProblem(VideoMomentsError):
    """Something about the database, and not about what is stored in it."""


class DatabaseUnreachable(DatabaseProblem):
    """No server answered, or the connection was lost."""

    retryable = True


class DatabaseBusy(DatabaseProblem):
    """The server answered and gave up: a deadlock, a lock or statement time limit, a full pool."""

    retryable = True


class DatabaseRefused(DatabaseProblem):
    """The server answered and said no: a wrong password, a missing database, a missing right."""


class SchemaOutdated(DatabaseProblem):
    """The tables are not the ones that this code needs."""


class MigrationFailed(DatabaseProblem):
    """A migration could not run; the database is as the last finished migration left it."""


class EmbeddedServerFailed(DatabaseProblem):
    """The embedded PostgreSQL server could not be made, started or joined."""


class UrlRejected(DatabaseProblem):
    """A database URL is malformed or names something other than PostgreSQL."""
