# One command each. A machine needs Python 3.11 or later, make, and this checkout; nothing else.
#
# The environment in .venv is made when first needed and again when its lock file changes. A stamp in it
# holds the lock file's checksum and is written last, so a half-made environment is made anew.

PY := .venv/bin/python
ARGS ?=

.PHONY: help run demo drill openapi fuzz test faults bench bench-settlement bench-orders bench-door bench-events bench-feed bench-candles screenshots client collection sdks extras lint types contracts check clean env env-dev

help:
	@echo "make run        start everything: PostgreSQL, Valkey, HAProxy, web, engine, worker, beat, feed (PORT=8000)"
	@echo "make demo       play the stories through HTTP and audit the ledger"
	@echo "make drill      destroy a system under load, restore it, and compare with what clients were told (ARGS='--deeds 200')"
	@echo "make test       the whole test suite (ARGS='-k exits' for some of it)"
	@echo "make faults     races, killed processes and forgeries at full size (hours)"
	@echo "make bench      measure, beside pgbench on the same PostgreSQL"
	@echo "make bench-orders  margin orders over HTTP, the engines alone, a book of a million"
	@echo "make bench-door  one trader beside idle connections, bodies that never end, and logins"
	@echo "make bench-events  the event stream before ten thousand connections, and webhooks to a hundred endpoints"
	@echo "make bench-feed  the feed before three live venues of 500 symbols each"
	@echo "make bench-candles  ten million candles: written, read, brought in"
	@echo "make bench-settlement  a million trades, beside bare SQL on the same rows"
	@echo "make openapi    write openapi.yaml anew, from the viewsets"
	@echo "make client     write a typed Python client into build/client, from openapi.yaml"
	@echo "make collection write build/brokerage.postman_collection.json, for Postman and Bruno, from openapi.yaml"
	@echo "make sdks       the contract's checks with the newest published Python client, too"
	@echo "make extras     the tests of sources and files that need an extra package: ccxt, pyarrow"
	@echo "make screenshots the pictures in docs/pictures, by a Chromium on the PATH"
	@echo "make fuzz       100,000 made-up requests against the whole system (CASES=1000, SEED=7)"
	@echo "make check      lint, types and import contracts"
	@echo "make clean      remove what the tools left behind; never .data"

run: env
	@exec $(PY) manage.py up $(ARGS)

demo: env
	@exec $(PY) manage.py demo $(ARGS)

# In a temporary directory, at ports of its own: nothing of .data is touched.
drill: env-dev
	@exec $(PY) -m tests.backup.drill $(ARGS)

test: env-dev
	@exec $(PY) -m pytest -n auto $(ARGS)

# The same tests of races, deaths and people as `make test` has, at the sizes that an audit would ask for.
faults: env-dev
	@FAULTS=full exec $(PY) -m pytest -n 2 --timeout 3600 -m faults $(ARGS)

bench: env-dev
	@exec $(PY) -m benchmarks $(ARGS)

bench-orders: env-dev
	@exec $(PY) -m benchmarks engine

bench-door: env-dev
	@exec $(PY) -m benchmarks door

bench-events: env-dev
	@exec $(PY) -m benchmarks events

bench-feed: env-dev
	@exec $(PY) -m benchmarks feed

bench-candles: env-dev
	@exec $(PY) -m benchmarks candles

bench-settlement: env-dev
	@exec $(PY) -m benchmarks million

# The API's document, made of the viewsets.
openapi: env-dev
	@exec $(PY) -m tests.embedded $(PY) manage.py spectacular --fail-on-warn --validate --file openapi.yaml

# A typed Python client, and a collection of requests; neither is committed, for both say what openapi.yaml says.
client: env-dev
	@$(PY) -m tests.contract.python_client build/client

collection: env-dev
	@$(PY) -m tests.contract.collection build/brokerage.postman_collection.json

# `make test` has the release that the contract names; this puts the newest one before it, for the same checks.
NEWEST := build/newest-sdk
sdks: env-dev
	@test "$$(cat $(NEWEST)/stamp 2>/dev/null)" = "$$(cksum < tests/contract/newest_sdk.lock)" || { rm -rf $(NEWEST) && \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
			--target $(NEWEST) -r tests/contract/newest_sdk.lock && cksum < tests/contract/newest_sdk.lock > $(NEWEST)/stamp; }
	@PYTHONPATH=$(NEWEST) SDK_LOCK=tests/contract/newest_sdk.lock exec $(PY) -m pytest tests/contract/test_sdk.py tests/contract/test_sdk_sandbox.py $(ARGS)

# Packages that only some firms need, beside the environment that everybody has.
EXTRAS := build/extras
extras: env-dev
	@test "$$(cat $(EXTRAS)/stamp 2>/dev/null)" = "$$(cksum < tests/feeds/extras.lock)" || { rm -rf $(EXTRAS) && \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile --require-hashes \
			--target $(EXTRAS) -r tests/feeds/extras.lock && cksum < tests/feeds/extras.lock > $(EXTRAS)/stamp; }
	@PYTHONPATH=$(EXTRAS) exec $(PY) -m pytest tests/feeds/test_ccxt.py tests/feeds/test_replay.py tests/quotes/test_backfill.py $(ARGS)

# The admin's pages in both schemes, of a small firm that is made up for them.
screenshots: env-dev
	@exec $(PY) -m pytest tests/browser/screenshots.py $(ARGS)

# schemathesis against all of `make run`, on data of its own: CASES=1000 for fewer, SEED=7 for others.
fuzz: env-dev
	@exec $(PY) -m tests.contract.fuzz $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

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
