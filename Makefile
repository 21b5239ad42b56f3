# Everything that is asked of a change: `make check`. The same tools and settings as in .ci/run.

PYTHON ?= python3

.PHONY: check format-check lint types test torture format

check: format-check lint types test

format-check:
	$(PYTHON) -m ruff format --check .

lint:
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy sslkit plugins

test:
	$(PYTHON) -m pytest

# Long runs that kill, corrupt and repeat.
torture:
	$(PYTHON) -m pytest -m torture -n 0

# Not a check: puts the code into the form that `format-check` asks for.
format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
