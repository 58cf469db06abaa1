# Two commands: `make demo` and `make test`. Both set up all they need in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
STORE ?= sqlite:data/yilian.db
PORT ?= 8080
JOBS ?= 2

.PHONY: demo test setup bench clean

demo: $(READY)
	@$(BIN)/yilian demo --store $(STORE) --port $(PORT)

# MONGO=mongodb://... runs the store tests on that server too; JOBS=0 runs all in one process
test: $(READY)
	@MONGO="$(MONGO)" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

bench: $(READY)
	@$(BIN)/python -m scripts.bench $(ARGS)

setup: $(READY)

$(READY): requirements-dev.lock requirements-definitions.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] >= (3, 11) else "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	@echo "Setting up $(VENV) (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-definitions.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist target
