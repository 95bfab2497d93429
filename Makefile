# Every target sets up what it needs, once: see install/set-up.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-services race lint weights bench-consent bench-erasure histories clean

# A file name reaches the recipe through the environment, so that no character of it is special.
override MEDIA := $(value MEDIA)
export MEDIA

help:
	@echo 'make demo [MEDIA=path]  a recording in, a report out: .demo/report.html'
	@echo 'make test               everything that needs no server'
	@echo 'make test-services      what needs a real PostgreSQL, S3 and Prefect server'
	@echo 'make race               a thousand withdrawals against readers and writers, some minutes'
	@echo 'make lint               ruff, its format, and mypy'
	@echo 'make setup              .venv, the pinned packages, programs, the default weights'
	@echo 'make weights            check every pretrained file, and pull what is missing or wrong'
	@echo 'make bench-consent      what consent costs: decisions, appends, ledger verify, the gate'
	@echo 'make bench-erasure      what erasing costs, beside bare deletes; OBJECTS=100000 takes minutes'
	@echo 'make histories          erasures at length: killed after each single step; minutes'
	@echo 'make clean              remove caches and .demo; .venv stays'

setup:
	@install/set-up

demo: setup
	@.venv/bin/python -m flows.demo .demo "$$MEDIA"

test: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile -m 'not services and not long' $(PYTEST_OPTIONS)

test-services: setup
	@install/set-up services
	LIKENESS_TEST_SERVICES=1 .venv/bin/python -m pytest -n 2 --dist loadfile -m 'services and not long' $(PYTEST_OPTIONS)

race: setup
	@install/set-up services
	LIKENESS_TEST_SERVICES=1 .venv/bin/python -m pytest -m long tests/storage/test_withdrawal_race.py tests/storage/test_door_training.py

histories: setup
	.venv/bin/python -m pytest -n 2 -m long tests/storage/erasure tests/flows/test_training.py

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

weights: setup
	@.venv/bin/likeness weights verify

bench-consent: setup
	@.venv/bin/python -m benchmarks.consent

OBJECTS ?= 100000
bench-erasure: setup
	@install/set-up services
	@.venv/bin/python -m benchmarks.erasure --objects $(OBJECTS)
	@.venv/bin/python -m benchmarks.deletion

clean:
	rm -rf .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build *.egg-info
	find models storage flows tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +
