PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ORDERS ?= 200
FAULTS ?= 100
SEED ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')

.PHONY: setup test lint demo bench bench-core bench-durable bench-parts bench-ledger bench-scale chaos

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

demo: $(READY)
	$(BIN)/durable-orders demo

bench: bench-core bench-durable bench-parts

bench-core: $(READY)
	$(BIN)/python -m bench.core
	$(BIN)/python -m bench.core_profile

bench-durable: $(READY)
	$(BIN)/python -m bench.durable
	$(BIN)/python -m bench.bus

bench-parts: $(READY)
	$(BIN)/python -m bench.ledger
	$(BIN)/python -m bench.watch
	$(BIN)/python -m bench.memory

bench-ledger: $(READY)
	$(BIN)/python -m bench.ledger --year

bench-scale: $(READY)
	$(BIN)/python -m bench.scale

chaos: $(READY)
	$(BIN)/python -m chaos --orders $(ORDERS) --faults $(FAULTS) --seed $(SEED)
