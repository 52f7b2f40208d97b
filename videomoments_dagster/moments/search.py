"""Full-text search: where in which video something is said.

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


_RANKED = 500
"""Of words that are said everywhere, so many segments are ranked; the others are not read."""
_LOOKED_INTO = 20
"""Transcripts that are looked into for words that are nowhere said in one segment."""
_READ_WHOLE = 3
"""Transcripts that are read for a phrase that no segment says all of, some 10 ms each."""

# `querytree` leaves out what must not occur. Joined by "or", its words serve for ranking, and for
# finding segments that say some of what was asked for.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")
_ASKED = text(
    """
    SELECT
        strict::text,
        CASE WHEN tree NOT IN ('', 'T') THEN
            regexp_replace(tree, '&|<->|<[0-9]+>', '|', 'g')
        END,
        regexp_replace(strict::text, '<->|<[0-9]+>', '&', 'g')
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

# A transcript may say one word here and the other there. `spread` asks for words and not for
# phrases: the index knows no places, so that a phrase would be looked for in all of each text.
# Segments are ranked without their index, which would give those of all other transcripts too.
_SOME_OF_IT = f"""
    WITH candidates AS (
        SELECT id FROM transcripts
        WHERE to_tsvector('english', full_text) @@ CAST(:spread AS tsquery)
        LIMIT :looked_into
    ), meant AS (
        {{meant}}
    ), ranked AS (
        SELECT transcript_id, position, ts_rank(words, CAST(:loose AS tsquery)) AS rank
        FROM meant
        JOIN pipeline.transcript_segments ON transcript_id = meant.id
    ), best AS (
        SELECT * FROM ranked WHERE rank > 0
        ORDER BY rank DESC, transcript_id DESC, position LIMIT :limit
    ) {_SHOWN}
"""  # noqa: S608 - put together from what stands here
_SAID_APART = text(_SOME_OF_IT.format(meant="SELECT id FROM candidates"))
_ACROSS_SEGMENTS = text(
    _SOME_OF_IT.format(
        meant="""SELECT transcripts.id FROM candidates JOIN transcripts USING (id)
        WHERE to_tsvector('english', full_text) @@ CAST(:strict AS tsquery)"""
    )
)


def search_transcripts(session: Session, text: str, *, limit: int = 20) -> list[TranscriptMatch]:
    """Find segments by what is said in them, the best first.

    Args:
        session: A session on the database.
        text: Words as one types them into a search engine: all of them must occur in the
            transcript; `"in quotes"` next to each other; `or` between alternatives; `-word` must
            not occur. English word forms count as the same word. Where a segment says all of it,
            only such segments are given. A phrase that goes on in the next segment is looked for
            in the first few transcripts that hold its words.
        limit: How many segments at most.

    Returns:
        The matching segments; none where `text` holds nothing but stop words or exclusions.
    """
    # The planner takes reading a text of an hour for as cheap as reading a number.
    session.execute(_BY_INDEX)
    strict, loose, spread = session.execute(_ASKED, {"asked": text}).one()
    if loose is None:
        return []
    given = {"strict": strict, "loose": loose, "limit": limit, "ranked": max(limit, _RANKED)}
    rows = session.execute(_WHERE_ALLOWED if "!" in strict else _ANYWHERE, given).all()
    if not rows:
        apart = spread == strict
        given |= {"spread": spread, "looked_into": _LOOKED_INTO if apart else _READ_WHOLE}
        rows = session.execute(_SAID_APART if apart else _ACROSS_SEGMENTS, given).all()
    return [TranscriptMatch(*row) for row in rows]
