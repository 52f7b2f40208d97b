"""Speech to words with times: the engines, and what every engine's result must satisfy.

No Dagster and no database here, and media is opened through `videomoments_dagster.media` only.
"""
