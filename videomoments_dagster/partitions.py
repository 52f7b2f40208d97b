"""The partitions: one per video.

Belongs here: partitions definitions. Does not belong here: the rule for their keys
(`videomoments_dagster.identity`), or registering one (`videomoments_dagster.resources.registry`).
"""

from dagster import DynamicPartitionsDefinition

VIDEOS = DynamicPartitionsDefinition(name="videos")
