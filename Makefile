# The commands of the project. PYTHON makes the environment: make test PYTHON=python3.13
PYTHON ?= python3
EXTRAS := plot,train,io,book,test
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCH := numpy-ml threadpoolctl torch
READY := .venv/ready
SITE := _build/site

export LC_ALL := C.UTF-8
export PYTHONUTF8 := 1
# Cells draw into their outputs, whatever the caller's matplotlib does.
unexport MPLBACKEND

.PHONY: bench book chapter clean evidence help launch nightly notebooks pdf serve student test weave
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | sort | awk -F'|' \
		'{ name[NR] = $$1; text[NR] = $$2; if (length($$1) > width) width = length($$1) } \
		END { for (k = 1; k <= NR; k++) printf "make %-" width "s  %s\n", name[k], text[k] }'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(PIP) -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

# Built anew each time: on top of an older build, Sphinx is silent about pages that did not change.
$(SITE): $(READY) _config.yml _toc.yml README.md CONTRIBUTING.md $(shell find book lstm lstm_student -type f -not -path '*/.*' -not -name '*.pyc')
	rm -rf _build/html _build/.doctrees
	$(BIN)/jupyter-book build . -W --keep-going -n --quiet || { rm -rf _build/html; exit 1; }
	touch $@

book: $(SITE)  ## build the site into _build/html
	@echo "The site: $(CURDIR)/_build/html/index.html"

serve: $(READY)  ## show the site in a browser of this machine, built again and reloaded on each change
	$(BIN)/python book/serve.py

pdf: $(READY)  ## print the whole book into _build/lstm-from-scratch.pdf
	$(BIN)/python book/pdf.py

# What is fetched by the copies: REF, or the tag of this version.
launch: $(READY)  ## copies of the chapters for Colab in _build/launch: URL=address of the repository REF=main
	@$(BIN)/python book/launch.py $(if $(URL),--url "$(URL)") $(if $(REF),--ref "$(REF)")

# Make hands both on in the environment, so a title may hold quotes.
chapter: $(READY)  ## start a chapter from the template: NAME=practice/foo TITLE="What foo does"
	@$(BIN)/python book/new_chapter.py "$$NAME" "$$TITLE"

student: $(READY)  ## write the edition without answers, for students, into _build/student
	@$(BIN)/python book/student.py

# Two processes on the two cores of a small machine: more threads in each would only wait for each other.
test: export OPENBLAS_NUM_THREADS := 1
test: $(SITE)  ## test the package, every notebook and the site
	$(BIN)/python book/weave.py --check
	$(BIN)/python -m pytest tests book --nbval --nbval-current-env -n 2 --dist loadfile -q

nightly: $(SITE)  ## ten times as many generated inputs as `make test`, all healthy runs, every chapter on the stand-in, every rule of axe, launch copies, PDF
	EXAMPLES=1000 CHAPTERS=all ACCESS=all WAYS=all $(BIN)/python -m pytest tests/test_access.py tests/test_launch.py tests/test_pdf.py tests/test_properties.py tests/test_stack.py tests/test_diagnose.py tests/test_chapters_cupy.py -n 2 -q

weave: $(READY)  ## write the package's text into the woven cells
	$(BIN)/python book/weave.py

notebooks: weave  ## weave, execute every chapter in order, store the outputs
	$(BIN)/python book/run.py

# Each run has one thread of BLAS. GRID="sine --scheduler HOST:8786" runs on a Dask cluster.
evidence: $(READY)  ## measure what the stored tables of long grids lack; GRID=sine for one of them
	$(BIN)/python -m experiments.sweep $(GRID)

bench: $(READY)  ## time the package beside PyTorch and others, which it installs; ONLY="training sine" for these groups
	$(PIP) -c constraints.txt $(BENCH)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

clean:  ## remove what the others made
	rm -rf .venv _build build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +
