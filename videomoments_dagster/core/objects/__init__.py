"""Object storage: files by key, in a local folder or in Google Cloud Storage.

Belongs here: one small interface, its backends, and the keys that objects have. Does not belong
here: which asset stores what (`videomoments_dagster.io_managers`), settings and resources
(`videomoments_dagster.resources`), where videos come from (`videomoments_dagster.sources`). No
Dagster import; Google's packages are imported only when a `gs://` object is touched.

A key, once written, never holds other bytes: stores create, compare and delete, and don't
overwrite.
"""
