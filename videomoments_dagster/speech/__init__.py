"""Speech to words with times: the engines, and what every engine's result must satisfy.

Belongs here: engines behind the one interface of `engine`, the reading of caption files, the
repair of word times. Does not belong here: Dagster, the database, and everything that opens a
media container (`videomoments_dagster.media`).
"""
