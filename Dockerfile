# One image for all of it: code server, webserver, daemon, and the `videomoments` command.
# The steps are those of `make setup`. deploy/compose.yaml puts the parts together.
FROM python:3.12-slim

ENV PATH=/opt/videomoments/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DAGSTER_HOME=/opt/dagster \
    VIDEOMOMENTS_HOME=/var/lib/videomoments

# The folders are in the image with their owner, so that volumes get the same.
RUN useradd --uid 10001 --user-group --home-dir /var/lib/videomoments --no-create-home videomoments \
    && install -d -o videomoments -g videomoments -m 0750 \
        /var/lib/videomoments /run/videomoments /opt/dagster

WORKDIR /opt/videomoments

# First what changes rarely: a change of our code alone installs nothing anew.
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --no-compile --no-deps --require-hashes --requirement requirements.lock \
    && .venv/bin/python -m compileall -q -j 0 .venv/lib

COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY videomoments_dagster videomoments_dagster
COPY db db
COPY migrations migrations
RUN .venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && .venv/bin/python -m compileall -q videomoments_dagster db migrations

COPY deploy/dagster.yaml deploy/workspace.yaml /opt/dagster/

USER videomoments

# Settings and passwords come from the environment when a container starts; none is in here.
CMD ["dagster", "code-server", "start", \
     "--socket", "/run/videomoments/code.sock", \
     "--module-name", "videomoments_dagster.definitions", \
     "--working-directory", "/opt/videomoments", \
     "--location-name", "videomoments", \
     "--log-level", "warning", \
     "--use-python-environment-entry-point"]

HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "--socket", "/run/videomoments/code.sock"]
