"""What the `videomoments` command does, one file a concern; `cli.py` only parses.

Belongs here: the work behind the commands, callable without a terminal. Does not belong here:
options and help texts (`videomoments_dagster.cli.main`).
"""
