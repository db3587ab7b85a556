# Entry points. Each installs what it needs first (.ci/setup) and says so; a second run has nothing to do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
HOSTS ?= 3
SETUP ?= .ci/setup
PY := .venv/bin/python
PYTEST := $(PY) -m pytest

# A plain user has no sbin on Debian, and that is where half of the tools are.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help demo test test-fast check bench torture lab-up lab-down setup-build setup-lab

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:[^#]*## /\t/' | expand -t 12

setup-build:
	@$(SETUP) build

setup-lab:
	@$(SETUP) lab

.venv/.made: pyproject.toml | setup-build
	@echo "setup: making a virtual environment in .venv"
	@.ci/venv

demo: setup-lab .venv/.made ## bring the lab up and run the main job on it
	@$(PY) -m tests.lab demo

test: setup-lab .venv/.made ## every test, on a lab of three real hosts
	@.ci/test

test-fast: .venv/.made ## the tests that need no lab
	@$(PYTEST) tests -m "not lab and not slow"

check: .venv/.made ## format, lint, types, import contracts, module sizes
	@.ci/check

bench: setup-lab .venv/.made ## the figures, as ratios in one run
	@$(PY) -m benchmarks

torture: setup-lab .venv/.made ## kill everything at every moment, on the lab
	@$(PYTEST) tests --torture

lab-up: setup-lab .venv/.made ## HOSTS=n real hosts on this machine (3)
	@$(PY) -m tests.lab up --hosts $(HOSTS)
	@$(PY) -m tests.lab stock

lab-down: ## all of it gone
	@$(or $(wildcard $(PY)),python3) -m tests.lab down
