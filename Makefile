# Everything happens in .venv, which is filled again only when pyproject.toml has changed.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint sim test-peers bench bench-plan bench-fleet bench-wan clean
.DELETE_ON_ERROR:

run: .venv/.run
	@exec $(BIN)/skerry lab --edge lyon

test: .venv/.test
	@$(BIN)/python -m pytest -q --numprocesses 3 --dist worksteal tests --ignore tests/peers

lint: .venv/.lint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# Seeds of the simulator: make sim SEEDS=10000 FIRST=1, or one with all that happens: make sim TRACE=17
SEEDS ?= 200
FIRST ?= 1
sim: .venv/.test
	@$(BIN)/python -m tests.sim $(if $(TRACE),--trace $(TRACE),$(SEEDS) $(FIRST))

test-peers: .venv/.peers
	@$(BIN)/python -m pytest -q tests/peers

bench: .venv/.test
	@$(BIN)/python -m benchmarks

bench-wan: .venv/.test
	@$(BIN)/python -m benchmarks.wan $(if $(IMAGES),--images $(IMAGES))

bench-plan: .venv/.test
	@$(BIN)/python -m benchmarks.plan

bench-fleet: .venv/.test
	@$(BIN)/python -m benchmarks.fleet

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.run: EXTRAS =
.venv/.test: EXTRAS = [test]
.venv/.lint: EXTRAS = [test,lint]
.venv/.peers: EXTRAS = [test,postgresql]

.venv/.run .venv/.test .venv/.lint .venv/.peers: pyproject.toml | .venv/bin/python
	@echo "Installing skerry$(EXTRAS) into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRAS)'
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Skerry needs Python 3.11 or later; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "On Debian: apt install python3-venv" >&2; exit 1; }
