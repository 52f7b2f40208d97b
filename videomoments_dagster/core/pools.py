"""Pools: what must not be done too often at once on one machine, with their first limits.

An installation sets its own with `dagster instance concurrency set POOL LIMIT` or in the UI.
"""

from types import MappingProxyType

TRANSCRIPTION = "transcription"
"""Takes all cores and gigabytes of memory for a model."""

LANGUAGE_MODEL = "language_model"
"""Waits for servers; each step asks several questions at once by itself."""

ENCODING = "encoding"
"""ffmpeg: cutting, encoding, and pictures."""

FIRST_LIMITS = MappingProxyType({TRANSCRIPTION: 1, LANGUAGE_MODEL: 4, ENCODING: 2})
"""Steps at once in each pool, until somebody sets something else."""
