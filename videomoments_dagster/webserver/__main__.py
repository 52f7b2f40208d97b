"""`python -m videomoments_dagster.webserver`: what `dagster-webserver` is, guarded.

Its command line is Dagster's own.
"""

from videomoments_dagster.core.dagster_internals import run_webserver
from videomoments_dagster.webserver.guarded import guarded

if __name__ == "__main__":
    run_webserver(guarded)
