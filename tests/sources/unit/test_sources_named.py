"""Failures say what a source is called, and not where it was fetched to."""

from __future__ import annotations

from pathlib import Path

import pytest

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.sources.fetching import named_as_given


def test_a_download_is_called_by_its_address_without_its_token() -> None:
    path = Path("/scratch/run-1/source/source-0a0a.mp4")
    with (
        pytest.raises(SourceRejected, match=r"^'https://example\.org/talk\.mp4\?token=\.\.\.' is"),
        named_as_given(path, "https://example.org/talk.mp4?token=s3cret"),
    ):
        raise SourceRejected(f"'{path}' is a web page, not a video or audio file")
