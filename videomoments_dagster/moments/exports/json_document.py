"""What is stored of videos as plain data for JSON. `docs/exports.md` has the fields."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from videomoments_dagster.base.files import kibibytes
from videomoments_dagster.core.text_columns import CODEC_CHARACTERS, fitted, indexable_source_url
from videomoments_dagster.moments.exports.material import Material
from videomoments_dagster.moments.records import Moment, Source, Video
from videomoments_dagster.moments.stored_videos import (
    HistoryRow,
    ListedVideo,
    RegisteredVideo,
    StoredVideo,
)
from videomoments_dagster.sources.locations import redact
from videomoments_dagster.speech.transcripts import Segment, Word

Document = dict[str, Any]

VERSION = 1
"""Raised when a field goes or changes its meaning; new fields may come at any time."""

_FACTS: Mapping[str, Callable[[Video], object]] = {
    "source_url": lambda one: one.source_url and redact(indexable_source_url(one.source_url)),
    "cloud_url": lambda one: one.cloud_url,
    "title": lambda one: one.title,
    "duration_seconds": lambda one: one.facts.duration_seconds,
    "file_size_kb": lambda one: kibibytes(one.facts.size_bytes),
    "video_codec": lambda one: one.facts.video and fitted(one.facts.video.codec, CODEC_CHARACTERS),
    "audio_codec": lambda one: one.facts.audio and fitted(one.facts.audio.codec, CODEC_CHARACTERS),
    "resolution": lambda one: one.facts.video and one.facts.video.resolution,
    "frame_rate": lambda one: one.facts.video and one.facts.video.frame_rate,
}
# json escapes C0 controls only. A terminal obeys C1 controls too, and characters that turn the
# direction of text can make a line read as another one.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def json_document(material: Material) -> str:
    """Write all that is stored, whatever of it there is."""
    document = {"videomoments_export": VERSION, **whole_document(material.stored)}
    return json_text(document) + "\n"


def json_text(document: Any) -> str:
    """Write a document as JSON that a terminal may show; equal documents give equal text."""
    written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def listed_document(video: ListedVideo) -> Document:
    """A line of the list of videos."""
    return _fields(video)


def video_document(known: StoredVideo | RegisteredVideo) -> Document:
    """All that is stored of a video, the transcript in brief.

    The same rows give the same document: lists have a total order, times are ISO 8601 in UTC,
    numbers are as stored. Locations are without credentials and tokens. A video that was never
    materialised has its source and nothing else.
    """
    if isinstance(known, RegisteredVideo):
        return _registered(known)
    stored, thumbnails = known, known.thumbnails
    refined = [_moment(one, stored, parent=one.parent_identifier) for one in stored.refined]
    refined_of = {one["parent"]: one for one in refined}
    in_order = sorted((one.start_time, one.end_time, key) for key, one in stored.clips.items())
    clips = {
        moment: {
            "moment": moment,
            **_fields(stored.clips[moment], "moment_identifier", "fingerprint", "method"),
            "created_at": _written(stored, "clip", moment),
            "thumbnail_url": thumbnails[moment].cloud_url if moment in thumbnails else None,
        }
        for _, _, moment in in_order
    }
    return {
        "identifier": stored.identifier,
        "state": "materialised",
        "source": stored.source and _source(stored.source, stored.note("source").written_at),
        **{name: fact(stored.video) for name, fact in _FACTS.items()},
        "created_at": _written(stored, "video"),
        "page_url": stored.page_url,
        "transcript": _transcript(stored),
        "generation_config": _configs(stored),
        "moments": [
            _moment(root, stored)
            | {"refined": refined_of.get(root.identifier), "clip": clips.get(root.identifier)}
            for root in stored.moments
        ],
        "refined_moments": refined,
        "clips": list(clips.values()),
        "thumbnails": [
            _fields(thumbnails[of], "fingerprint")
            | {"created_at": _written(stored, "thumbnail", of)}
            for of in (None, *clips)
            if of in thumbnails
        ],
        "history": [_run(run, stored) for run in stored.runs],
    }


def whole_document(stored: StoredVideo) -> Document:
    """The same with the whole transcript, and when moments were made and why there are few."""
    document, transcript = video_document(stored), stored.transcript
    if transcript is not None:
        document["transcript"] |= {
            "full_text": transcript.full_text,
            "segments": _timed(transcript.segments, "text"),
            "words": _timed(transcript.words, "word"),
        }
    made = _written(stored, "made", "moments")
    made_moments = made and {"at": made, "why_fewer": stored.why_fewer or None}
    return {**document, "moments_made": made_moments}


def _timed(said: Sequence[Segment | Word], name: str) -> list[Document]:
    # In the order in which the database gives the fields.
    return [{"end": one.end, name: one.text, "start": one.start} for one in said]


def _registered(video: RegisteredVideo) -> Document:
    source = _source(video.source, video.registered_at)
    return {
        "identifier": video.identifier,
        "state": "registered",
        "source": source,
        **dict.fromkeys((*_FACTS, "created_at", "page_url", "transcript", "generation_config")),
        "source_url": source["location"],
        "title": source["title"],
        **{name: [] for name in ("moments", "refined_moments", "clips", "thumbnails", "history")},
    }


def _source(source: Source, registered_at: datetime | None) -> Document:
    captions = source.captions and redact(source.captions)
    redacted = replace(source, location=redact(source.location), captions=captions)
    return {**_fields(redacted, "identifier"), "created_at": _plain(registered_at)}


def _transcript(stored: StoredVideo) -> Document | None:
    transcript = stored.transcript
    if transcript is None:
        return None
    return {
        "language": transcript.language,
        "number_of_words": len(transcript.words),
        "number_of_segments": len(transcript.segments),
        "transcription_service": transcript.transcription_service,
        "processing_time_seconds": transcript.processing_time_seconds,
        "text_begins": transcript.full_text[:200],
        "created_at": _written(stored, "transcript"),
    }


def _configs(stored: StoredVideo) -> Document | None:
    if stored.configs is None:
        return None
    generation, refinement = (
        _fields(config, "prompt", "operation_type")
        | {"config_hash": stored.note("config", config.operation_type).config_hash}
        for config in (stored.configs.generation, stored.configs.refinement)
    )
    refinement["max_shift_seconds"] = stored.configs.max_shift_seconds
    return {"profile": stored.configs.profile, **generation, "refinement": refinement}


def _moment(moment: Moment, stored: StoredVideo, **parent: str | None) -> Document:
    note = stored.note("moment", moment.identifier)
    return {
        "identifier": moment.identifier,
        **parent,
        **_fields(moment, "identifier", "parent_identifier", "generation_model"),
        "generation_model": moment.generation_model,
        "config_hash": note.config_hash,
        "created_at": _plain(note.written_at),
    }


def _run(run: HistoryRow, stored: StoredVideo) -> Document:
    beginning = {name: getattr(run, name) for name in ("identifier", "pipeline_type", "status")}
    config_hash = stored.note("run", run.identifier).config_hash
    return {**beginning, "config_hash": config_hash, **_fields(run, *beginning)}


def _fields(value: Any, *without: str) -> Document:
    """Those fields of a value that documents have too, in the same order."""
    names = (one.name for one in fields(value) if one.name not in without)
    return {name: _plain(getattr(value, name)) for name in names}


def _written(stored: StoredVideo, kind: str, name: str | None = None) -> Any:
    return _plain(stored.note(kind, name).written_at)


def _plain(value: Any) -> Any:
    return f"{value.isoformat(timespec='milliseconds')}Z" if isinstance(value, datetime) else value
