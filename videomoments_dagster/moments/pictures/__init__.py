"""Pictures for people to look at, drawn from values: timelines, and what surrounds photographs.

Belongs here: values in, SVG or Markdown out, the same for the same values. Does not belong here:
Dagster, storage, decoding or encoding media.
"""
