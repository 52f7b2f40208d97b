"""A video's page: one HTML file with player, timeline, moments and transcript. No Dagster.

Whatever came from outside reaches the template as text, which the template engine escapes, or as
an `Address`, which can only be made of what is harmless in a link. No script holds any data.
"""
