"""Dagster's app with the guard before it."""

from urllib.parse import urlsplit

from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.webserver.guard import App, Guard, hosts_in


def guarded(app: App) -> App:
    """Put the guard before an app, by the settings of this process."""
    settings = load_settings()
    hosts = hosts_in(settings.ui_hosts) | hosts_in(urlsplit(settings.ui_url).netloc)
    return Guard(app, hosts=hosts)
