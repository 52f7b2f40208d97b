"""Moment finding: from what is said in a video to the stretches worth watching.

Pure functions over `moments.records` and `speech.transcript`: no Dagster, files, databases or
network.
"""
