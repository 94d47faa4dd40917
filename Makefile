# Two commands for a newcomer: make demo, make test. Each installs what it needs first.
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= python3.11
export PYTHON
# Processes that run test files side by side, each with a Spark of its own (1 GB); the long nights come first.
TEST_WORKERS ?= 2

# pytest's own -m 'not chaos' keeps the long form out of make test.
.PHONY: help setup demo test test-cloud chaos check format bench dev proto lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## install packages and jars into .venv and .local
	@infra/setup.sh

demo: setup ## the main job: a sample world, one night, look-ups, a compliance stop
	@$(BIN)/recs demo

test: setup ## the whole test suite
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/cloud

test-cloud: setup ## what production adds: its seams, against the nearest real thing
	@infra/setup.sh cloud
	@PATH="$(CURDIR)/.local/bin:$$PATH" $(BIN)/python -m pytest tests/cloud

check: setup ## format, lint, types, layers, SQL, the asset graph
	@$(BIN)/ruff format --check -q . || { echo "check: formatting differs; run make format"; exit 1; }
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint -q sql
	@! command -v terraform >/dev/null || terraform fmt -check -recursive infra/terraform
	@DAGSTER_HOME= $(BIN)/python -W ignore -m dagster definitions validate -m dagster_project.definitions --log-level error

format: setup ## format Python and SQL in place
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .
	@$(BIN)/sqlfluff fix -q sql

chaos: setup ## kill what lands and stores events thirty times, ask every interface for 50,000 users, and judge 100,000 answers on each path that goes wrong (minutes)
	@$(BIN)/python -m pytest -m chaos

bench: setup ## measure what is named (NAME=score) or stale, and render the README's table
	@$(BIN)/recs bench $(NAME)

dev: setup ## the embedded stack and the Dagster UI, until Ctrl-C
	@$(BIN)/recs dev

proto: setup ## generate code from the API's Protobuf; refuses what would break clients
	@$(BIN)/python -m infra.proto

COMPILE := $(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-emit-index-url --no-header --python-version 3.11

lock: setup ## resolve pyproject.toml into requirements.lock, and the images' parts of it
	@$(COMPILE) --extra dev -o requirements.lock
	@$(COMPILE) -c requirements.lock -o infra/images/day.lock
	@$(COMPILE) --extra night -c requirements.lock -o infra/images/night.lock

clean: ## remove everything that setup, demo and tests made
	rm -rf .venv .local build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

include infra/delivery.mk
