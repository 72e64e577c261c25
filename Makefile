# SPDX-License-Identifier: Apache-2.0
#
# Everything there is to do with this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

BIN := .venv/bin
# Each test process may boot a target of its own: half a gigabyte and one CPU at full load.
TEST_JOBS ?= 3
# More arguments for pytest, for one: make test TEST_ARGS='-k framing'
TEST_ARGS ?=

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## packages (apt), .venv, all target kernels; does only what is not done yet
	@tools/setup 6.1 6.12 6.1-kdb

.PHONY: demo
demo: ## the whole debugging session, on a real kernel, from connecting to unloading, by itself
	@tools/setup 6.1
	@$(BIN)/python demo/session.py

.PHONY: demo-serial
demo-serial: ## the same over one cable for console and kgdb, with a terminal server between
	@tools/setup 6.1
	@$(BIN)/python demo/serial_line.py

.PHONY: test
test: setup lint ## all checks and all tests, real kernels included (TEST_JOBS=3, TEST_ARGS=)
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder -m 'not soak' $(TEST_ARGS)

.PHONY: unit
unit: ## only the tests that need no kernel
	@tools/setup
	@$(BIN)/python -m pytest -n $(TEST_JOBS) -m 'not soak and not vm' $(TEST_ARGS)

.PHONY: soak
soak: setup ## the tests that take minutes: hundreds of module loads, many boots, every pair of kernel and gdb
	@$(BIN)/python -m pytest -m soak --timeout 3600 $(TEST_ARGS)

.PHONY: bench
bench: setup ## measure everything the documentation states, and write it down (quiet machine, half an hour)
	@$(BIN)/python bench/run.py

.PHONY: lint
lint: ## style, types, layers
	@tools/setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: ## let ruff put the style right
	@tools/setup
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

.PHONY: docs
docs: ## the documentation, into docs/_build/html
	@tools/setup
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html

.PHONY: picture
picture: ## record the README's picture from the demonstration, and take the web view's
	@tools/setup 6.1
	@$(BIN)/python tools/picture.py
	@NULLMODEM_PICTURES=docs/images $(BIN)/python -m pytest -q tests/vm/test_web.py

# Debian 12's own interpreter is the oldest that is supported: a lock made with a newer one holds what it cannot install.
.PHONY: lock
lock: ## resolve the newest versions of all dependencies into requirements/lock.txt
	@PYTHON=/usr/bin/python3 NULLMODEM_UNLOCKED=1 tools/setup
	@$(BIN)/python -m pip freeze --exclude-editable | { echo '# Made by `make lock`. What CI and `make setup` install.'; cat; } > .lock.new
	@mv .lock.new requirements/lock.txt

.PHONY: clean
clean: ## remove what was made here, .venv too; kernels stay in nullmodem's cache
	@rm -rf .venv docs/_build dist build src/nullmodem/frontends/web/page web/.built web/node_modules .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
