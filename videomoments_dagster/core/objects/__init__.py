"""Object storage: files by key, in a local folder or in Google Cloud Storage.

A key, once written, never holds other bytes: stores create, compare and delete, and don't
overwrite. Nothing here imports Dagster, or Google's packages before a `gs://` object is touched.
"""
