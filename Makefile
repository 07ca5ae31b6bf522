# `make demo` and `make test` need Python 3.11+ and make, nothing else: each does its own set-up.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up
ARGS ?=
# Four tests at a time (tests/support/running/side_by_side.py), those with a broker mostly wait; ARGS="-n 0 --pdb" is for one.
PYTEST = $(BIN)/pytest -n 4

.PHONY: help
help:
	@echo "make demo    simulate, train, replay into the monitor: a minute or two, no broker"
	@echo "make test    every check and every test, as CI runs them"
	@echo "make quick   the tests without tests/slow; ARGS='-k alerts' passes on to pytest"
	@echo "make coverage  the tests again, a third slower, and which lines of sheetbreak/ none of them reaches"
	@echo "make shake   the tests, with pauses at random in the programs; ARGS=tests/desk for a part"
	@echo "make check   lint, formatting, types and import rules"
	@echo "make fix     what ruff can mend by itself"
	@echo "make lock    refresh requirements/*.txt"
	@echo "make setup   (re)make $(VENV) with every extra, hash-pinned; the others do it when it is needed"

.PHONY: demo
demo: $(SET_UP)
	@$(BIN)/sheetbreak demo $(ARGS)

.PHONY: test
test: check
	$(PYTEST) $(ARGS)

.PHONY: coverage
coverage: $(SET_UP)
	$(PYTEST) --cov --cov-report=term $(ARGS)

.PHONY: quick
quick: $(SET_UP)
	$(PYTEST) --ignore=tests/slow $(ARGS)

.PHONY: shake
shake: $(SET_UP)
	PYTHONPATH=$(CURDIR)/tests/support/running/pauses $(PYTEST) $(ARGS)

.PHONY: check
check: $(SET_UP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: fix
fix: $(SET_UP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# One resolution for all: the smaller files take their versions from dev.txt.
LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --only-binary :all: \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
.PHONY: lock
lock: $(SET_UP)
	$(LOCK) --upgrade --extra dev -o requirements/dev.txt
	$(LOCK) --extra trainer --constraint requirements/dev.txt -o requirements/trainer.txt
	$(LOCK) --extra monitor --constraint requirements/dev.txt -o requirements/monitor.txt
	$(LOCK) --extra desk --constraint requirements/dev.txt -o requirements/desk.txt

.PHONY: setup
setup: $(SET_UP)

$(SET_UP): requirements/dev.txt scripts/make-venv
	@scripts/make-venv $(VENV)
	@touch $@
