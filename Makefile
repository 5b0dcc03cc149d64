# Everything runs in .venv, which is made when it is missing and renewed when pyproject.toml or constraints.txt change.
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lint types layers tests web web-check pictures docs bench train-shapes constraints clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TYPED := $(VENV)/.typed
PACKAGES := web/node_modules/.package-lock.json
EDITOR := sdgraph/assets/web/index.html
SOURCES := $(shell find sdgraph nodes tests tools benchmarks training -name '*.py' 2>/dev/null)

# Build requirements are pinned too, and no tool reports newer versions of itself.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help:
	@echo "make setup         create .venv and install sdgraph with its dependencies"
	@echo "make demo          run workflows/multistage.json on the built-in model and say where the pictures are"
	@echo "make test          everything that must pass: lint, types, layers, tests"
	@echo "make check         the quick part of it: lint, types, layers"
	@echo "make web           build the browser editor, which \`sdgraph serve\` shows and wheels contain (needs Node.js 20.19)"
	@echo "make web-check     what make test checks of the editor: style, types, tests, size"
	@echo "make bench         the benchmarks whose figures stand in README.md"
	@echo "make docs          write the generated pages of docs/"
	@echo "make pictures      draw the pictures of docs/ again"
	@echo "make train-shapes  train the built-in model builtin:shapes (hours; resumes where it stopped)"
	@echo "make constraints   pin the versions that are installed now"
	@echo "make clean         remove what make setup, make demo and the tools leave behind"

setup: $(INSTALLED)

$(BIN)/pip:
	@for name in "$$PYTHON" python3.11 python3.12 python3.13 python3; do \
	  "$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  echo "Creating $(VENV) with $$("$$name" --version)"; \
	  exec "$$name" -m venv --clear $(VENV); \
	done; \
	echo "sdgraph needs Python 3.11 or newer with its venv module (Debian: python3-venv); found: $$(python3 --version 2>&1)." >&2; \
	echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/sdgraph run workflows/multistage.json -o output/demo
	@echo "The pictures are in $(CURDIR)/output/demo:"; ls output/demo

test: check web-check tests

check: lint types layers

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TYPED)

$(TYPED): $(INSTALLED) $(SOURCES)
	$(BIN)/pyright
	@touch $@

layers: $(INSTALLED)
	$(BIN)/lint-imports

# Two processes of one thread each: threads of torch that share cores wait for each other most of the time. Tests in the
# browser have a process of their own: Playwright keeps an event loop, beside which others can't run theirs.
tests: $(INSTALLED) $(EDITOR)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --ignore tests/e2e
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/e2e

web: $(EDITOR)

$(PACKAGES): web/package.json web/package-lock.json web/.npmrc
	@command -v npm >/dev/null || { echo "The editor is built with Node.js 20.19 or newer and npm; found neither." >&2; exit 1; }
	cd web && npm ci
	@touch $@

$(EDITOR): $(PACKAGES) web/index.html web/vite.config.ts $(shell find web/src -type f 2>/dev/null)
	cd web && npm run build

web-check: $(EDITOR)
	cd web && npm run lint && npm run types && npm test && npm run size

docs: $(INSTALLED)
	$(BIN)/python -m tools.node_pages
	$(BIN)/python -m sdgraph.settings >docs/guide/settings.md
	$(BIN)/python -m tools.api_types

pictures: $(INSTALLED) $(EDITOR)
	$(BIN)/python -m tools.pictures
	$(BIN)/python -m tools.editor_pictures

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.engine_overhead
	$(BIN)/python -m benchmarks.cache
	$(BIN)/python -m benchmarks.crashes
	$(BIN)/python -m benchmarks.patches
	$(BIN)/python -m benchmarks.residency
	$(BIN)/python -m benchmarks.residency --vae
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.server_latency
	$(BIN)/python -m benchmarks.server_load
	$(BIN)/python -m benchmarks.editor_frames
	$(BIN)/python -m benchmarks.adherence --seed 1
	$(BIN)/python -m benchmarks.parity
	$(BIN)/python -m benchmarks.full_size

train-shapes: $(INSTALLED)
	$(BIN)/python -m training.shapes

constraints: $(INSTALLED)
	$(BIN)/pip freeze --all --exclude-editable | grep -v ^pip== | sort -f >constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) web/node_modules sdgraph/assets/web output .pytest_cache .ruff_cache .hypothesis .import_linter_cache
