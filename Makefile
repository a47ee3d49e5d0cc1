# `make audit` and `make test` need only Python 3.11+ (with venv) and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# One BLAS thread a worker: two workers with two threads each are slower than two with one.
WORKERS ?= 2

.PHONY: audit test check format lint types contracts bench train dashboard clean

# 0 pass, 1 findings, 3 inconclusive: all three are results of an audit, not failures of make.
audit: $(READY)
	@$(BIN)/assay audit $(ARGS); code=$$?; case $$code in 0|1|3) exit 0;; *) exit $$code;; esac

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: format lint types contracts test

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

bench: $(READY)
	@status=0; for name in generate verify signing recovery watermark bias; do $(BIN)/python -m benchmarks.$$name || status=1; done; exit $$status

train: $(READY)
	$(BIN)/assay train $(or $(FAMILY),all) $(ARGS)

dashboard: $(READY)
	$(BIN)/assay dashboard $(ARGS)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
