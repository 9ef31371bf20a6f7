# What people do with this project; `make help` lists it. Needs python3 (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
JOBS ?= 3
LABS := $(wildcard tests/contract tests/cli tests/laws tests/secrets tests/faults tests/prefect tests/ui tests/demo)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-unit test-labs lint lab lab-install bench lock ui-screens clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv from the lock file (skipped while it is up to date)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ERROR:  $(PYTHON) is older than 3.11"; \
	    echo "HINT:   make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "ERROR:  $(PYTHON) has no module venv"; \
	    echo "HINT:   apt-get install python3-venv"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## lose a table and restore it; KEEP=yes leaves it running for the browser
	@$(BIN)/pg-runbooks demo $(if $(filter yes,$(KEEP)),--keep)

test: lint lab-install test-unit test-labs ## everything, on Debian 12 as root

test-unit: install ## our own code, which needs neither root nor labs, on every processor
	$(BIN)/python -m pytest tests/unit -n logical --dist loadfile -q

test-labs: install ## the contracts with the outside, and what needs the labs; JOBS of them side by side, each with labs of its own
	$(BIN)/python -m pytest $(LABS) -n $(JOBS) --dist loadfile -q

lint: install ## ruff, mypy, the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lab: install ## a lab for your own hands: WHICH=loopback or machines
	$(BIN)/python -m tests.lab up $(or $(WHICH),loopback)

lab-install: install ## install the Debian packages that the labs need
	$(BIN)/python -m tests.lab install

bench: install ## measure against the page's commands, Barman, pgBackRest and rclone
	$(BIN)/python -m tests.bench

ui-screens: install ## drive the Prefect UI in Chromium and keep screenshots in build/ui
	PG_RUNBOOKS_SCREENS=build/ui $(BIN)/python -m pytest tests/ui -m ui -q

lock: install ## write requirements.lock anew
	$(BIN)/uv pip compile pyproject.toml -o requirements.lock --python-version 3.11 --upgrade \
	  --generate-hashes --no-header --extra dev --extra demo

clean: ## remove what was built; the virtual environment stays
	rm -rf build dist state/demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
