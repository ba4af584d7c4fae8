# SPDX-License-Identifier: Apache-2.0

SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

# One order of files everywhere.
export LC_ALL := C

C := $(wildcard bpf/*.c bpf/*.h bpf/*/*.c bpf/*/*.h)
SCRIPTS := $(wildcard scripts/*) .ci/run
FUZZTIME ?= 60s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what is missing on this machine (root)
	@scripts/setup

.PHONY: build
build: ## make bin/mpol
	@go build -o bin/mpol ./cmd/mpol

.PHONY: test
test: setup ## run every test (root); a skipped test fails where CI=true
	@go test -json -count=1 -timeout 15m ./... | go run ./internal/testgate

.PHONY: demo
demo: setup build ## show a small world, its policy and what it decides (root)
	@go run ./e2e/demo

.PHONY: bench
bench: setup build ## measure a node beside the bare machine, authors' verbs beside OPA (root)
	@go run ./e2e/bench

.PHONY: bench-author
bench-author: build ## measure the authors' verbs alone
	@go run ./e2e/bench -part author

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s)
	@scripts/fuzz $(FUZZTIME)

.PHONY: fuzz-short
fuzz-short: ## run every fuzz target for ten seconds, as CI does
	@scripts/fuzz 10s

.PHONY: generate
generate: ## compile the datapath and write its Go face (clang-19)
	@go generate ./bpf/...

.PHONY: generated
generated: generate ## check that the committed datapath is what its sources give
	@test -z "$$(git status --porcelain -- bpf)" || { git status --short -- bpf; echo 'fix: make generate, then commit bpf'; exit 1; }

.PHONY: fmt
fmt: ## format Go and C
	@go tool gofumpt -w .
	@$(if $(C),clang-format-19 -i $(C))

.PHONY: lint
lint: lint-go lint-vet lint-static lint-c lint-shell ## run every gate

.PHONY: lint-go
lint-go:
	@files=$$(go tool gofumpt -l .); test -z "$$files" || { echo "$$files"; echo 'fix: make fmt'; exit 1; }

.PHONY: lint-vet
lint-vet:
	@go vet ./... || { echo 'fix by hand, then: make lint-vet'; exit 1; }

.PHONY: lint-static
lint-static:
	@go tool staticcheck ./... || { echo 'fix by hand, then: make lint-static'; exit 1; }

.PHONY: lint-c
lint-c:
	@$(if $(C),clang-format-19 --dry-run --Werror $(C) || { echo 'fix: make fmt'; exit 1; })

.PHONY: lint-shell
lint-shell:
	@shellcheck $(SCRIPTS) || { echo 'fix by hand, then: make lint-shell'; exit 1; }

.PHONY: clean
clean: ## remove what was built; .tools stays
	@rm -rf bin
