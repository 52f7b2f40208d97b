"""The partitions: one per video, with its identifier as the key."""

from dagster import DynamicPartitionsDefinition

VIDEOS = DynamicPartitionsDefinition(name="videos")
