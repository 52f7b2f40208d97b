"""Media files: probing, clip cutting, sound extraction and stills.

Belongs here: everything that opens a media file or starts ffmpeg, as functions that take and
return the values of `videomoments_dagster.records`. Does not belong here: Dagster, the database,
the object store.
"""
