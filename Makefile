.DEFAULT_GOAL := help
.PHONY: help setup up down status test e2e lint format requirements

BIN := .venv/bin
BUNDLE := $(or $(ATOLL_BUNDLE),$(or $(ATOLL_CACHE),$(HOME)/.cache/atoll)/bundle)
HAS_BUNDLE := $(wildcard $(BUNDLE)/index.json)

help: ## Show this
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## Make .venv and install what is missing
	@tools/setup

up: setup ## Start everything on this machine and run a word count as a Ray job (ARGS="--host sandbox ...")
	@$(BIN)/atoll up $(ARGS)

down: setup ## Remove everything that `make up` made
	@$(BIN)/atoll down $(ARGS)

status: setup ## What runs
	@$(BIN)/atoll status $(ARGS)

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Let ruff format and fix what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: tests-setup lint ## Set everything up and pass all tests (ARGS="-k name ...")
ifeq ($(HAS_BUNDLE),)
	@echo "e2e: skipped, there is no bundle at $(BUNDLE) (make one with atoll bundle pull)"
	$(BIN)/pytest tests --ignore tests/e2e $(ARGS)
else
	@echo "e2e: of the end-to-end tests those of the main job; the long ones (broken parts, enforcement) are for make e2e"
	$(BIN)/pytest tests -m "not long" $(ARGS)
endif

e2e: tests-setup ## The end-to-end tests alone; they need a bundle and a real cluster
	$(BIN)/pytest tests/e2e $(ARGS)

.PHONY: tests-setup
tests-setup:
	@tools/setup --tests
	@$(BIN)/python -m atoll.hosts.toolchain

requirements: setup ## Pin the dependencies of pyproject.toml again
	@tools/requirements
