"""Sources: where a video's bytes come from before it is stored.

That is local files, `http(s)://`, `gs://` and pages that yt-dlp understands. No Dagster, and
nothing of where the bytes are stored (`videomoments_dagster.core.objects`).
"""
