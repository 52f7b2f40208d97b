"""Fixtures that only this tier has."""

from imitated_runs import imitated
from stored_records import storage

__all__ = ["imitated", "storage"]
