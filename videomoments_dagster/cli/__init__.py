"""The `videomoments` command: one file a command group, over one shared `CommandContext`.

What a command does is in plain functions that need no terminal; `main` puts the commands together
and turns typed failures into a sentence and an exit status.
"""
