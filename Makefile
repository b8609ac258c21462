# Thin covers over pip, pytest and the command line. `make run` and `make test` are all a newcomer needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# What builds the package is pinned too, so it is installed first and used without an environment of its own.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup setup-system run test report lint docs cocotb coverage cover-plan proofs mutants python-mutants ledger nightly clean
.DEFAULT_GOAL := run

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "microduet needs Python 3.11 or newer; set PYTHON=... to one" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

setup-system:
	bash scripts/setup-system

run: setup
	$(BIN)/microduet run microrec-small

# Both papers' tables and figures beside what is measured: build/report/report.html.
report: setup
	$(BIN)/microduet report --all

# Both run even if the first fails, so that one run shows all there is to mend.
test: setup
	@status=0; $(MAKE) --no-print-directory lint || status=1; $(BIN)/python -m pytest || status=1; exit $$status

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports --no-logo

docs: setup
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/site
	@echo "build/site/index.html"

# DUT=name picks the benches of one component, WAVES=1 keeps the waves. SIM=icarus changes the simulator, SIM=both compares,
# SIM=netlist synthesises first. SEEDS=20 runs each bench with 20 seeds, X_INITIAL=unique from registers that begin with anything.
cocotb: setup
	WAVES=$(WAVES) SIM=$(SIM) $(BIN)/python -m pytest -n 0 -m "not nightly or counted" tests/hw $(if $(DUT),-k $(DUT)) -s

# Lines, branches and bits that the gateware's benches reach, kept in tests/data/coverage.json; DUT=name as above.
coverage: setup
	rm -rf build/coverage
	MICRODUET_COVERAGE=1 $(BIN)/python -m pytest -n 2 -m "not nightly or counted" tests/hw -k "not proof and not holds$(if $(DUT), and ($(DUT)))"
	$(BIN)/python -m tests.support.coverage_merge --keep

# Situations of the cover plan that benches meet, kept in tests/data/cover_plan.json; a test fails if one is not.
cover-plan: setup
	rm -rf build/bins
	MICRODUET_COVER_PLAN=1 $(BIN)/python -m pytest -n 2 -m "not nightly or counted" tests/hw -k "not proof and not holds"
	$(BIN)/python -m tests.support.cover_plan --keep

# The proofs, kept in tests/data/proofs.json.
proofs: setup
	rm -rf build/proved
	MICRODUET_COVERAGE=1 $(BIN)/python -m pytest -n 2 -m "nightly or not nightly" tests/hw -k "proof or proven or holds or stand"
	$(BIN)/python -m tests.support.proof_record --anew

# Mutants of one component (DUT=store) or of all that have been drawn before, kept in tests/data/mutants.json; AGAIN=1 judges
# only those that lived, once tests have been added.
mutants: setup
	$(BIN)/python -m tests.support.mutants $(if $(DUT),$(DUT),--again) --keep $(if $(AGAIN),--survivors)

# Mutants of the software, of one group (DUT=planner) or of all, kept in tests/data/python_mutants.json; AGAIN=1 judges only
# those that lived, once tests have been added.
python-mutants: setup
	for group in $(or $(DUT),driver planner quantiser); do $(BIN)/python -m tests.support.python_mutants $$group --keep $(if $(AGAIN),--again) || exit 1; done

# docs/verification.md from the sources and the figures that were kept.
ledger: setup
	$(BIN)/python -m tests.support.ledger

# Every test, those of the night too, and all mutants anew; the next part runs even if one fails.
nightly: setup
	@status=0; $(BIN)/python -m pytest -m "nightly or not nightly" --durations=20 || status=1; \
	$(MAKE) --no-print-directory mutants || status=1; $(MAKE) --no-print-directory python-mutants || status=1; exit $$status

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
