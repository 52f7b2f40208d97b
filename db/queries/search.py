"""Full-text search: where in which video something is said.

Belongs here: the one query that uses `idx_transcripts_full_text`.
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


# The index answers which transcripts hold all that was asked for. A transcript may say one word
# here and the other there, so its segments are then looked at for any of the words (`loose`, in
# which querytree has left out what must not occur), and where some hold all of it, only those are
# given. Both tsvectors spell the index's expression; another spelling would scan every transcript.
_SEARCH = text(
    """
    WITH asked AS (
        SELECT
            websearch_to_tsquery('english', :asked) AS strict,
            CASE
                WHEN querytree(websearch_to_tsquery('english', :asked)) IN ('', 'T') THEN NULL
                ELSE regexp_replace(
                    querytree(websearch_to_tsquery('english', :asked)), '&|<->|<[0-9]+>', '|', 'g'
                )::tsquery
            END AS loose
    ), candidates AS (
        SELECT
            videos.identifier,
            videos.title,
            (segment.value ->> 'start')::float AS start_seconds,
            (segment.value ->> 'end')::float AS end_seconds,
            segment.value ->> 'text' AS said,
            to_tsvector('english', segment.value ->> 'text') AS words
        FROM transcripts
        JOIN videos ON videos.id = transcripts.video_id
        CROSS JOIN LATERAL jsonb_array_elements(transcripts.segment_timestamps) AS segment
        WHERE to_tsvector('english', transcripts.full_text)
            @@ websearch_to_tsquery('english', :asked)
    ), matches AS (
        SELECT
            candidates.*,
            words @@ strict AS complete,
            bool_or(words @@ strict) OVER (PARTITION BY identifier) AS complete_somewhere,
            ts_rank(words, loose) AS rank
        FROM candidates CROSS JOIN asked
        WHERE words @@ loose
    )
    SELECT identifier, title, start_seconds, end_seconds, said
    FROM matches
    WHERE complete OR NOT complete_somewhere
    ORDER BY complete DESC, rank DESC, identifier, start_seconds
    LIMIT :limit
    """
)


def search_transcripts(session: Session, text: str, *, limit: int = 20) -> list[TranscriptMatch]:
    """Find segments by what is said in them, the best first.

    Args:
        session: A session on the database.
        text: Words as one types them into a search engine: all of them must occur in the
            transcript; `"in quotes"` next to each other; `or` between alternatives; `-word` must
            not occur. English word forms count as the same word.
        limit: How many segments at most.

    Returns:
        The matching segments; none where `text` holds nothing but stop words or exclusions.
    """
    rows = session.execute(_SEARCH, {"asked": text, "limit": limit})
    return [TranscriptMatch(*row) for row in rows]
