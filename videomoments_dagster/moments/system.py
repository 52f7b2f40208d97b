"""The system of moments: one partition per video, with its identifier as the key."""

import dagster as dg

from db import models
from videomoments_dagster.core.model_calls import MODEL_CALLS
from videomoments_dagster.core.systems import System
from videomoments_dagster.moments import object_keys

VIDEO_PARTITIONS = "videos"
"""Name of the dynamic partitions; each key is the identifier of a video."""

MOMENTS = System(
    name="moments",
    partitions=dg.DynamicPartitionsDefinition(name=VIDEO_PARTITIONS),
    noun="video",
    anchor=models.Video.identifier,
    object_kinds=(
        object_keys.VIDEOS,
        object_keys.CLIPS,
        object_keys.THUMBNAILS,
        object_keys.PAGES,
        MODEL_CALLS,
    ),
)
