# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Each sets up what it needs: .venv, the pinned packages, and (through apt, where it may) a few system libraries.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SITE ?= sites/demo
REAL := $(abspath ../shared/data)

# Tests and benchmarks find real recordings here; without the folder they skip and say why.
ifneq ($(wildcard $(REAL)),)
export INLAND_TEST_DATA ?= $(REAL)
endif

.PHONY: setup demo test bench check lock clean
setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) VENV=$(VENV) sh scripts/setup.sh
	@touch $@

demo: $(STAMP)
	$(BIN)/inland turn $(SITE) --size demo
	@echo "Open the report that the line above names in a browser."

check: $(STAMP)
	$(BIN)/ruff check inland tests benchmarks
	$(BIN)/ruff format --check inland tests benchmarks
	$(BIN)/mypy

test: check
	$(BIN)/pytest

bench: $(STAMP)
	$(BIN)/python -m benchmarks

lock:
	@sh scripts/lock.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
