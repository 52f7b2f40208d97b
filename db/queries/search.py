"""Full-text search: where in which video something is said.

Belongs here: the queries on `idx_transcripts_full_text` and on the words of single segments.

Reading whole transcripts would take 3 ms for each that holds the words, of which there may be ten
thousand; their segments have an index of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class TranscriptMatch:
    """A segment of speech that answers a search.

    Attributes:
        video: Identifier of the video.
        title: The video's title, if any.
        start_seconds: Where the segment starts, seconds of the presented timeline.
        end_seconds: Where it ends.
        text: What is said in it.
    """

    video: str
    title: str | None
    start_seconds: float
    end_seconds: float
    text: str


_RANKED = 2000
"""Of words that are said everywhere, so many segments are ranked; the others are not read."""
_LOOKED_INTO = 20
"""Transcripts that are looked into for words that are nowhere said in one segment."""

# `querytree` leaves out what must not occur. Joined by "or", its words serve for ranking, and for
# finding segments that say some of what was asked for.
_ASKED = text(
    """
    SELECT strict::text, CASE WHEN tree NOT IN ('', 'T') THEN
        regexp_replace(tree, '&|<->|<[0-9]+>', '|', 'g')
    END
    FROM (SELECT websearch_to_tsquery('english', :asked) AS strict) AS asked
    CROSS JOIN LATERAL querytree(strict) AS tree
    """
)

_SHOWN = """
    SELECT videos.identifier, videos.title, (said ->> 'start')::float, (said ->> 'end')::float,
        said ->> 'text'
    FROM best
    JOIN transcripts ON transcripts.id = best.transcript_id
    JOIN videos ON videos.id = transcripts.video_id
    CROSS JOIN LATERAL (
        SELECT transcripts.segment_timestamps -> best.position AS said
    ) AS segment
    ORDER BY rank DESC, identifier, position
"""

# Segments that say all of it. What must not occur must not occur in all of the video.
_IN_ONE_SEGMENT = f"""
    WITH found AS (
        SELECT transcript_id, position, words
        FROM pipeline.transcript_segments
        WHERE words @@ CAST(:strict AS tsquery) {{condition}}
        LIMIT :ranked
    ), best AS (
        SELECT transcript_id, position, ts_rank(words, CAST(:loose AS tsquery)) AS rank
        FROM found ORDER BY rank DESC, transcript_id DESC, position LIMIT :limit
    ) {_SHOWN}
"""  # noqa: S608 - put together from what stands here
_ALLOWED = """AND transcript_id IN (
    SELECT id FROM transcripts
    WHERE to_tsvector('english', full_text) @@ CAST(:strict AS tsquery)
)"""

_ANYWHERE = text(_IN_ONE_SEGMENT.format(condition=""))
_WHERE_ALLOWED = text(_IN_ONE_SEGMENT.format(condition=_ALLOWED))

# A transcript may say one word here and the other there.
_SAID_APART = text(
    f"""
    WITH candidates AS (
        SELECT id FROM transcripts
        WHERE to_tsvector('english', full_text) @@ CAST(:strict AS tsquery)
        LIMIT :looked_into
    ), best AS (
        SELECT transcript_id, position, ts_rank(words, CAST(:loose AS tsquery)) AS rank
        FROM candidates
        JOIN pipeline.transcript_segments ON transcript_id = candidates.id
        WHERE words @@ CAST(:loose AS tsquery)
        ORDER BY rank DESC, transcript_id DESC, position LIMIT :limit
    ) {_SHOWN}
    """  # noqa: S608 - put together from what stands here
)


def search_transcripts(session: Session, text: str, *, limit: int = 20) -> list[TranscriptMatch]:
    """Find segments by what is said in them, the best first.

    Args:
        session: A session on the database.
        text: Words as one types them into a search engine: all of them must occur in the
            transcript; `"in quotes"` next to each other; `or` between alternatives; `-word` must
            not occur. English word forms count as the same word. Where a segment says all of it,
            only such segments are given.
        limit: How many segments at most.

    Returns:
        The matching segments; none where `text` holds nothing but stop words or exclusions.
    """
    strict, loose = session.execute(_ASKED, {"asked": text}).one()
    if loose is None:
        return []
    given = {"strict": strict, "loose": loose, "limit": limit, "ranked": max(limit, _RANKED)}
    rows = session.execute(_WHERE_ALLOWED if "!" in strict else _ANYWHERE, given).all()
    if not rows:
        rows = session.execute(_SAID_APART, {**given, "looked_into": _LOOKED_INTO}).all()
    return [TranscriptMatch(*row) for row in rows]
