# A fresh machine needs Python 3.11 or newer and nothing else:
#   make verify   check every claim, write the report, print where it is
#   make test     the tests
# Another interpreter: make verify PYTHON=python3.12
# make bench: a race whose peer wants an environment of its own says which, and skips that bar without it.

PYTHON ?= python3
OUT ?= l2o_results
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SETUP := pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help verify test lint browser slow bench clean

help:
	@echo "make verify    check every claim, write the report and print where it is"
	@echo "make test      the tests (a few minutes on two cores)"
	@echo "make lint      ruff, mypy --strict, import-linter"
	@echo "make browser   the report in a real browser; needs chromium and chromedriver"
	@echo "make slow      the tests that take minutes"
	@echo "make bench     the races against straightforward implementations"
	@echo "make clean     remove the virtual environment and everything the tools left"

verify: $(VENV)/.stamp-smt
	$(BIN)/l2o-theory check --out $(OUT)

# A file's tests stay on one core, so that what they share is made once.
test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

browser: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -m browser $(PYTEST_ARGS)

slow: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

bench: $(VENV)/.stamp-dev
	@missed=; for race in benchmarks/bench_*.py; do \
	  echo "$$race"; OMP_NUM_THREADS=1 $(BIN)/python "$$race" || missed="$$missed $$race"; done; \
	if [ -n "$$missed" ]; then echo "bars missed in:$$missed" >&2; exit 1; fi

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis

# One stamp per installed extra: the second run of any target installs nothing.
$(VENV)/.stamp-smt: $(VENV)/.stamp-venv $(SETUP)
	@echo "installing l2o-theory with the versions of constraints.txt; the first time takes minutes"
	$(PIP) -e '.[smt]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-smt
	$(PIP) -e '.[smt,dev]'
	@touch $@

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, but PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	       "name another one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "error: $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@
