"""Dagster's app with the stored files beside it, and the guard before both."""

from urllib.parse import urlsplit

from videomoments_dagster.core.objects.served import SERVED_AT, served_below
from videomoments_dagster.core.resources import ObjectStoreResource
from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.moments.object_keys import CLIPS, PAGES, THUMBNAILS, VIDEOS
from videomoments_dagster.moments.page.page import served_policy
from videomoments_dagster.webserver.guard import App, Guard, hosts_in
from videomoments_dagster.webserver.stored_files import StoredFiles

# A person is before the screen.
_WAIT_SECONDS = 15.0


def guarded(app: App) -> App:
    """Put the guard before an app, by the settings of this process."""
    settings = load_settings()
    hosts = hosts_in(settings.ui_hosts) | hosts_in(urlsplit(settings.ui_url).netloc)
    kept = ObjectStoreResource(
        root=settings.object_store_root,
        gcp_project=settings.gcp_project or "",
        wait_seconds=min(_WAIT_SECONDS, settings.no_answer_seconds),
    )
    files = StoredFiles(
        app,
        kept.store,
        # A proxy may take off the path that the UI has to people.
        paths={SERVED_AT, served_below(settings.ui_url)},
        folders=(VIDEOS, CLIPS, THUMBNAILS, PAGES),
        pages=PAGES,
        page_policy=served_policy(),
    )
    return Guard(files, hosts=hosts)
