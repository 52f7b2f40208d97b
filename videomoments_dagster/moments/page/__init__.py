"""A video's page: one HTML file with player, timeline, moments and transcript.

Belongs here: what a page shows, as a frozen value, and the pure function from it to HTML, with
its template, style and script as files beside it. Does not belong here: rows, objects or files
(`videomoments_dagster.moments.page.stored_page`, `videomoments_dagster.cli.run_report`). No
Dagster import.

Whatever came from outside reaches the template as text, which the template engine escapes, or as
an `Address`, which can only be made of what is harmless in a link. No script holds any data.
"""
