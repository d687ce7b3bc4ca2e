PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ORDERS ?= 200
ALERTS ?= 1000
FAULTS ?= 100
ACTS ?= 60
RATE ?= 3
JOBS ?= 6
KEEP ?=
SEED ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')

# The tests start hundreds of programs, each of which would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# The tests wait more than they work: six processes keep two cores busy. A file of tests stays in
# one process, and `tests/conftest.py` has the longest come first.
SIDE_BY_SIDE := -n $(JOBS) --dist loadfile --no-loadscope-reorder
# What needs no Temporal server and no PostgreSQL.
FAST := tests/trading tests/sandbox tests/durable_orders/v2 -k "not postgres and not over_a_home" --ignore tests/trading/ledger

# The first target: `make` alone says what there is. A target is described behind `##`.
.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup test test-fast lint format docs demo bench bench-keep bench-core bench-durable bench-older bench-parts bench-ledger bench-pages bench-scale bench-ticks alerts chaos

setup: $(READY) ## build .venv with everything that development needs

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("make setup needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": say PYTHON=... to name another")'
	$(PYTHON) -m venv .venv
	@echo "Installing $$(grep -c '==' requirements/dev.txt) packages, some minutes the first time"
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

lint: $(READY) ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its form
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

docs: $(READY) ## write the pages that are generated from the code
	for page in docs/generate_*.py; do $(BIN)/python $$page || exit 1; done

test: lint ## lint, then all tests
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-fast: $(READY) ## the tests that need no Temporal server and no PostgreSQL
	$(BIN)/pytest $(SIDE_BY_SIDE) $(FAST)

demo: $(READY) ## trade a real day on paper, with a crash in the middle
	$(BIN)/durable-orders demo

bench: bench-core bench-durable bench-parts ## measure everything that has a goal, some minutes

bench-keep: ## the same, and keep the figures in bench/latest.json and docs/measured.md
	$(MAKE) bench KEEP=--keep
	$(BIN)/python docs/generate_measured.py

bench-core: $(READY) ## the simulated core alone
	$(BIN)/python -m bench.core $(KEEP)
	$(BIN)/python -m bench.core_profile $(KEEP)

bench-durable: $(READY) ## orders through Temporal, and the bus
	$(BIN)/python -m bench.durable $(KEEP)
	$(BIN)/python -m bench.bus $(KEEP)

bench-older: $(READY) ## this tree beside 7d4ef65, built from its commit, and beside nautilus_trader, in turn
	$(BIN)/python -m bench.older core $(KEEP)
	$(BIN)/python -m bench.older durable $(KEEP)
	$(BIN)/python -m bench.older start $(KEEP)
	$(BIN)/python -m bench.older ticks $(KEEP)
	$(BIN)/python -m bench.ticks_beside $(KEEP)

bench-parts: $(READY) ## the ledger, the watch, memory, the recorder and paper
	$(BIN)/python -m bench.ledger $(KEEP)
	$(BIN)/python -m bench.watch $(KEEP)
	$(BIN)/python -m bench.memory $(KEEP)
	$(BIN)/python -m bench.recording $(KEEP)
	$(BIN)/python -m bench.beside $(KEEP)
	$(BIN)/python -m bench.paper_ticks $(KEEP)

bench-ticks: $(READY) ## a backtest of twenty million ticks, some twenty minutes
	$(BIN)/python -m bench.many_ticks $(KEEP)

bench-ledger: $(READY) ## a year's ledger, and accounts that share one
	$(BIN)/python -m bench.ledger --year $(KEEP)
	$(BIN)/python -m bench.quality $(KEEP)
	$(BIN)/python -m bench.accounts $(KEEP)
	$(BIN)/python -m bench.accounts --away 1 $(KEEP)

bench-scale: $(READY) ## many orders at once
	$(BIN)/python -m bench.scale $(KEEP)
	$(BIN)/python -m bench.alerts $(KEEP)

bench-pages: $(READY) ## orders while fifty pages are open, and while none is
	$(BIN)/python -m bench.pages

alerts: $(READY) ## ALERTS=1000: alerts, each sent three times, while everything is killed: one order each
	ALERTS=$(ALERTS) $(BIN)/pytest tests/durable_orders/web/test_hooks.py -k killed

chaos: $(READY) ## ORDERS=200 FAULTS=100 ACTS=60 RATE=3 SEED=n: orders against faults, crashes and operators
	$(BIN)/python -m chaos --orders $(ORDERS) --faults $(FAULTS) --acts $(ACTS) --rate $(RATE) --seed $(SEED)
