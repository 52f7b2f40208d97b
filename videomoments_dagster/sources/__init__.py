"""Sources: where a video's bytes come from before it is stored.

Belongs here: local files, `http(s)://`, `gs://` and pages that yt-dlp understands; their
normal form, their names, and what to call their failures. Does not belong here: whether the
bytes are a video (probing), where they are stored (`videomoments_dagster.core.objects`). No
Dagster import.
"""
