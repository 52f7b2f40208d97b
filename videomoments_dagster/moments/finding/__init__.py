"""Moment finding: from what is said in a video to the stretches worth watching.

Belongs here: splitting speech into sentences and topics, ranking stretches, scoring them and
moving their boundaries. Pure functions over `records` values, numpy only. Does not belong here:
Dagster, files, databases, network calls and model servers.
"""
