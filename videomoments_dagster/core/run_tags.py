"""Names that one part of this project writes and another reads: tags, metadata, the location."""

CODE_LOCATION = "videomoments"
"""Name of our code location in every `workspace.yaml`."""

PROFILE_TAG = "videomoments/profile"
"""Generation profile for the run, where run config names none."""

TRANSCRIPTION_TAG = "videomoments/transcription"
"""Transcription engine for the run, where run config names none."""

PIPELINE_TAG = "videomoments/pipeline"
"""Identifier of the run's row in `pipeline_history`."""

FORGOTTEN_TAG = "videomoments/partition_deleted"
"""On runs of a partition that was deleted since: they are no history of another of its name.

Its value is the run's own id: who runs one of them again has its tags copied by Dagster."""

FAILED_PARTS_KEY = "failed_parts"
"""Metadata of a materialisation: how many parts of its work could not be done."""
