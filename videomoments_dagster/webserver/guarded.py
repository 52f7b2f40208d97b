"""Dagster's app with the guard before it."""

from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.webserver.guard import App, Guard, hosts_in


def guarded(app: App) -> App:
    """Put the guard before an app, by the settings of this process."""
    return Guard(app, hosts=hosts_in(load_settings().ui_hosts))
