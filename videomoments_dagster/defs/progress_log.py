"""Progress of long work as sentences in the run's log."""

from __future__ import annotations

import dagster as dg

_STEPS = 10


class TenthsLogged:
    """Logs each tenth of some work once, whatever the steps in which it goes on."""

    def __init__(self, context: dg.AssetExecutionContext, what: str) -> None:
        """Prepare to log.

        Args:
            context: Whose log it goes to.
            what: What is said after the percentage, such as "of the sound is transcribed".
        """
        self._context = context
        self._what = what
        self._logged = 0

    def __call__(self, share: float) -> None:
        """Take note that `share` of the work is done, 0 to 1."""
        tenth = min(_STEPS, int(share * _STEPS))
        if tenth > self._logged:
            self._logged = tenth
            self._context.log.info("%d%% %s", tenth * 100 // _STEPS, self._what)

    def of_bytes(self, done: int, total: int | None) -> None:
        """The same for `done` bytes of `total`; an unknown total is not logged."""
        if total:
            self(done / total)
