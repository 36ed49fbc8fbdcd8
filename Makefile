# One command each. A machine needs Python 3.11 or later, make, and this checkout; nothing else.
#
# The environment in .venv is made when first needed and again when its lock file changes. A stamp in it
# holds the lock file's checksum and is written last, so a half-made environment is made anew.

PY := .venv/bin/python
ARGS ?=

.PHONY: help run demo test faults bench bench-settlement bench-orders lint types contracts check clean env env-dev

help:
	@echo "make run        start everything: PostgreSQL, Valkey, web, engine, worker, beat, feed (PORT=8000)"
	@echo "make demo       play the stories through HTTP and audit the ledger"
	@echo "make test       the whole test suite (ARGS='-k exits' for some of it)"
	@echo "make faults     races, killed processes and forgeries at full size (hours)"
	@echo "make bench      measure, beside pgbench on the same PostgreSQL"
	@echo "make bench-orders  margin orders over HTTP, the engines alone, a book of a million"
	@echo "make bench-settlement  a million trades, beside bare SQL on the same rows"
	@echo "make check      lint, types and import contracts"
	@echo "make clean      remove what the tools left behind; never .data"

run: env
	@exec $(PY) manage.py up $(ARGS)

demo: env
	@exec $(PY) manage.py demo $(ARGS)

test: env-dev
	@exec $(PY) -m pytest -n auto $(ARGS)

# The same tests of races, deaths and people as `make test` has, at the sizes that an audit would ask for.
faults: env-dev
	@FAULTS=full exec $(PY) -m pytest -n 2 --timeout 3600 -m faults $(ARGS)

bench: env-dev
	@exec $(PY) -m benchmarks $(ARGS)

bench-orders: env-dev
	@exec $(PY) -m benchmarks engine

bench-settlement: env-dev
	@exec $(PY) -m benchmarks million

lint: env-dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: env-dev
	@$(PY) -m mypy

contracts: env-dev
	@$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()'

check: lint types contracts

clean:
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.data/*' -prune -exec rm -rf {} +

# --- the environment --------------------------------------------------------------------------------

# Is what this lock file asks for installed, in an environment whose Python still starts?
installed = test "$$(cat .venv/stamp.$(1) 2>/dev/null)" = "$$(cksum < $(1))" && $(PY) -c '' 2>/dev/null

# The first Python that is new enough and can make environments; or a sentence that says what is missing.
find_python = found=; old=; bare=; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
		command -v $$python >/dev/null 2>&1 || continue; \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { old="$$($$python -V 2>/dev/null)"; continue; }; \
		$$python -c 'import ensurepip, venv' 2>/dev/null || { bare=$$python; continue; }; \
		found=$$python; break; \
	done; \
	if test -z "$$found"; then \
		if test -n "$$bare"; then echo "$$bare has no venv module: install it (Debian, Ubuntu: the package python3-venv)." >&2; \
		else echo "Python 3.11 or later is needed$${old:+; the newest found is $$old}. Or name one: make PYTHON=/path/to/python" >&2; fi; \
		exit 1; \
	fi

# An environment that was complete once is brought up to date; any other is made from nothing.
install = echo "Installing $(1) into .venv (once) ..."; \
	if ls .venv/stamp.* >/dev/null 2>&1 && $(PY) -m pip --version >/dev/null 2>&1; then rm -f .venv/stamp.*; \
	else $(find_python); rm -rf .venv && $$found -m venv .venv || exit 1; fi; \
	$(PY) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $(1) || exit 1

env:
	@$(call installed,requirements.lock) || { $(call install,requirements.lock); \
		cksum < requirements.lock > .venv/stamp.requirements.lock; }

# The development lock file holds everything of the other one, so it satisfies both.
env-dev:
	@{ $(call installed,requirements.lock) && $(call installed,requirements-dev.lock); } || \
		{ $(call install,requirements-dev.lock); \
		cksum < requirements-dev.lock > .venv/stamp.requirements-dev.lock; \
		cksum < requirements.lock > .venv/stamp.requirements.lock; }
