"""The way between the values of `records` and their rows and objects.

Belongs here: one `StoredAsset` per asset (`<asset>_rows.py`), and the Dagster IO manager that
calls them. Nothing else writes the asset tables. Does not belong here: computing anything.
"""
