"""Questions to the database that more than one part of the project asks, one file a question."""

from db.queries.search import TranscriptMatch, search_transcripts

__all__ = ["TranscriptMatch", "search_transcripts"]
