"""Exports: what is stored of a video, in the formats of other tools. No Dagster, no queries."""
