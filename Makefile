# Each target sets up what it needs in .venv; a second run finds it there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WORKERS ?= auto
# One that has nothing left to do takes tests from another.
PARALLEL := -n $(WORKERS) --dist worksteal
# The tests, and what the many programs import that they start, are compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-portable test-free-threaded test-injection test-signals test-walk test-window test-mpps test-ups test-watchers test-commitment test-kills test-cancel test-faces soak dependents lint types docs bench bench-page bench-compare dist clean
.DELETE_ON_ERROR:

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or later is needed" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv --clear $(VENV) \
		|| { echo "make: $(PYTHON) has no venv (on Debian and Ubuntu: apt-get install python3-venv)" >&2; \
			rm -rf $(VENV); exit 1; }

$(VENV)/apps.stamp: pyproject.toml | $(BIN)/python
	$(PIP) install --config-settings editable_mode=compat --editable ".[apps]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(PIP) install --config-settings editable_mode=compat --editable ".[dev]"
	@touch $@ $(VENV)/apps.stamp

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	$(PIP) install --config-settings editable_mode=compat --editable ".[docs]"
	@touch $@ $(VENV)/apps.stamp

demo: $(VENV)/apps.stamp
	@$(BIN)/python -m pynetdicom.apps.demo

# What one waits for while one works. `test-all` adds what takes long, all cases of what is sampled here,
# and more examples.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(PYTEST_ARGS)

test-all: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) --hypothesis-profile thorough $(PYTEST_ARGS)

# As if on Windows: what it lacks is taken away from Python.
PORTABLE := $(addprefix tests/,test_portable.py test_never_stuck.py faults/test_dimse.py apps/test_echo.py \
	apps/test_storescu.py network/test_lobby.py $(addprefix data_sets/,test_provisional.py test_spool.py) \
	$(addprefix association/,$(addsuffix .py,test_association test_destinations test_querying test_serving test_storing)))

test-portable: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PARALLEL) -p tests.as_windows $(PORTABLE) $(PYTEST_ARGS)

# Under a Python without its global lock, which needs packages of its own.
FREE_THREADED ?= python3.14t
FREE := .venv-free-threaded
test-free-threaded:
	@test -d $(FREE) || $(FREE_THREADED) -m venv $(FREE)
	$(FREE)/bin/python -m pip --disable-pip-version-check --quiet install "pydicom>=3,<4" \
		cryptography hypothesis numpy pytest pytest-timeout pytest-xdist greenlet
	PYTHON_GIL=0 PYTHONPATH=. $(FREE)/bin/python -m pytest -n $(WORKERS) -m "not slow" \
		$(addprefix tests/,aio association data_sets dimse faults network services upper_layer) $(PYTEST_ARGS)

test-injection: $(VENV)/dev.stamp
	PYNETDICOM_INJECT=all $(BIN)/python -m pytest $(PARALLEL) tests/test_injection.py $(PYTEST_ARGS)

test-signals: $(VENV)/dev.stamp
	PYNETDICOM_SIGNALS=10000 $(BIN)/python -m pytest -n 0 tests/test_signals.py $(PYTEST_ARGS)

test-walk: $(VENV)/dev.stamp
	PYNETDICOM_WALK=50000 $(BIN)/python -m pytest -n 0 tests/test_walk.py $(PYTEST_ARGS)

test-window: $(VENV)/dev.stamp
	PYNETDICOM_OPERATIONS=1000000 $(BIN)/python -m pytest -n 0 tests/association/test_window.py -k owner $(PYTEST_ARGS)

test-mpps: $(VENV)/dev.stamp
	PYNETDICOM_MPPS=100000 $(BIN)/python -m pytest -n 0 --timeout 0 tests/workflows/test_mpps.py -k many_random $(PYTEST_ARGS)

test-ups: $(VENV)/dev.stamp
	PYNETDICOM_UPS=100000 PYNETDICOM_CLAIMS=10000 $(BIN)/python -m pytest -n 0 --timeout 0 tests/workflows/test_ups_model.py tests/workflows/test_ups.py -k "model or claim" $(PYTEST_ARGS)

SOAK ?= 1800
soak: $(VENV)/dev.stamp
	PYNETDICOM_SOAK=$(SOAK) $(BIN)/python -m pytest -n 0 -s tests/test_soak.py $(PYTEST_ARGS)

# 10,000 steps and 100 watchers are two million reports: most of an hour.
test-watchers: $(VENV)/dev.stamp
	PYNETDICOM_UPS_STEPS=10000 PYNETDICOM_UPS_WATCHERS=100 $(BIN)/python -m pytest -n 0 --timeout 0 tests/workflows/test_ups_subscriptions.py -k many_watchers $(PYTEST_ARGS)

test-kills: $(VENV)/dev.stamp
	PYNETDICOM_TEST_KILLS=50 $(BIN)/python -m pytest -n 0 tests/apps/test_workflowscp_killed.py tests/apps/archive/test_commitment.py -k killed $(PYTEST_ARGS)

test-faces: $(VENV)/dev.stamp
	PYNETDICOM_FACES=all $(BIN)/python -m pytest $(PARALLEL) -k asyncio $(PYTEST_ARGS)

test-cancel: $(VENV)/dev.stamp
	PYNETDICOM_CANCELS=10000 $(BIN)/python -m pytest -n 0 --timeout 0 tests/aio/test_cancelled_anywhere.py $(PYTEST_ARGS)

test-commitment: $(VENV)/dev.stamp
	PYNETDICOM_COMMITMENT=100000 $(BIN)/python -m pytest -n 0 --timeout 0 tests/workflows/test_commitment_information.py -k memory_does $(PYTEST_ARGS)

# Packages that depend on pynetdicom, each with this one in an environment of its own; needs the Package
# Index, and Python 3.13 for some.
dependents: $(VENV)/dev.stamp
	$(BIN)/python -m tests.dependents $(DEPENDENTS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev.stamp
	$(BIN)/mypy --strict
	PYNETDICOM_TYPING=all $(BIN)/python -m pytest -n 0 -q tests/typing/test_typing.py -k mypy $(PYTEST_ARGS)

# The same by pyright too.
test-typing: $(VENV)/dev.stamp
	PYNETDICOM_TYPING=all $(BIN)/python -m pytest -n 0 tests/typing $(PYTEST_ARGS)

docs: $(VENV)/docs.stamp
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks

# The ratios of docs/comparison.rst, on a machine that does nothing else.
bench-page: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks --page docs/data/ratios.inc

# This checkout against another commit, old and new in alternation; `--record` adds to the history.
OLD ?= HEAD~1
bench-compare: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.compare $(OLD) $(BENCH_ARGS)

dist: $(VENV)/dev.stamp
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
