"""Media files: probing, clip cutting, sound extraction and stills.

Belongs here: everything that opens a media file or starts ffmpeg, as functions that take and
return values. Does not belong here: Dagster, the database,
the object store.
"""
