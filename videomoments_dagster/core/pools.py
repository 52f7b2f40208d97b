"""Pools: what must not be done too often at once on one machine, whoever asks for it.

Belongs here: their names and first limits. Does not belong here: an installation's limits, which
`dagster instance concurrency set POOL LIMIT` or the UI (Deployment, Concurrency) sets.
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
