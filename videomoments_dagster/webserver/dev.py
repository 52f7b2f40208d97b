"""`python -m videomoments_dagster.webserver.dev`: what `dagster` is, with the guarded webserver."""

from videomoments_dagster.core.dagster_internals import run_dev
from videomoments_dagster.webserver.guard import WEBSERVER

if __name__ == "__main__":
    run_dev(WEBSERVER)
