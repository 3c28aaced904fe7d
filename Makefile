# Needs Python 3.11 or newer, make and pip; never root. `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# The read models in projections/ are checked through the symlink, under the name they are imported by.
TYPED := src tests benchmarks $(wildcard examples)
LINTED := src projections tests benchmarks $(wildcard examples) docs/verify.py

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: install ## Install what is missing and serve in the foreground
	$(BIN)/release-ledger serve

.PHONY: install
install: $(STAMP) ## Make .venv and install everything into it; at once when nothing has changed

# pip before the stamp: a half-done install is done again. The venv's own pip is used as it comes.
$(STAMP): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.PHONY: test
test: install ## Run all tests but the soak tests
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

.PHONY: check
check: lint types test ## Everything that must be green before a commit

.PHONY: lint
lint: install ## Style and format, by ruff
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)

.PHONY: format
format: install ## Mend what ruff can mend by itself
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)

.PHONY: types
types: install ## Types, by mypy --strict
	$(BIN)/mypy --strict $(TYPED)

.PHONY: soak
soak: install ## The long random tests (minutes)
	$(BIN)/python -m pytest -n 2 -m soak --hypothesis-profile soak $(ARGS)

.PHONY: bench
bench: install ## Measure everything beside what bounds it (minutes); ARGS=--quick
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lock
lock: install ## Write requirements.lock from setup.cfg; UPGRADE=--upgrade takes newer versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes $(UPGRADE) \
		--custom-compile-command "make lock" --output-file requirements.lock setup.cfg

.PHONY: clean
clean: ## Remove what was built; your ledger's data stays
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src projections tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
