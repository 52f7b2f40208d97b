"""Names of the run tags that this project reads and writes."""

PROFILE_TAG = "videomoments/profile"
"""Generation profile for the run, where run config names none."""

TRANSCRIPTION_TAG = "videomoments/transcription"
"""Transcription engine for the run, where run config names none."""

PIPELINE_TAG = "videomoments/pipeline"
"""Identifier of the run's row in `pipeline_history`."""

CONFIG_TAG = "videomoments/config"
"""`config_hash` of the generation config that the run used."""
