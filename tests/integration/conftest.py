"""Fixtures that only this tier has."""

from stored_records import storage

__all__ = ["storage"]
