# make course   set up, prepare model and data, run the five notebooks, end with the report
# make test     the whole test suite: lint, format, unit tests, five notebooks on a nano model
# make setup    only the virtual environment, the model and the data (needs the network once)

PYTHON ?= python3
PRESET ?= auto
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: course test setup doctor clean

course: $(VENV)/.prepared
	@$(BIN)/course run --preset $(PRESET) --resume

test: $(VENV)/.prepared $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

setup: $(VENV)/.prepared

doctor: $(VENV)/.installed
	@$(BIN)/course doctor

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make course PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the libraries (a few minutes the first time) ..."
	@$(PIP) -r requirements.txt -c constraints.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.installed
	@$(PIP) -r requirements-dev.txt -c constraints.txt
	@touch $@

$(VENV)/.prepared: $(VENV)/.installed
	@$(BIN)/course model prepare
	@$(BIN)/course model prepare nano
	@$(BIN)/course data prepare
	@touch $@

clean:
	rm -rf $(VENV)
