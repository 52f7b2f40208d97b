"""What must hold of stored results, as pure functions from values to sentences about what does not.

Belongs here: one function a rule; no sentences mean that it holds. Does not belong here: Dagster's
asset checks, which call these (`videomoments_dagster.defs`), storage, or decoding media.
"""

TIME_TOLERANCE_SECONDS = 0.001
"""Times are written to the millisecond, and sums of floats are not exact."""
