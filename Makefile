# Mailfleet. `make run` starts a small fleet here; `make test` tests everything.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X mailfleet/inventory.Version=$(VERSION)
LINT    := .tools/golangci-lint
LINT_VERSION := v2.15.0
# Debian packages of the real peers that tests talk to.
PEER_PACKAGES := chromium curl dbus-daemon dovecot-imapd dovecot-lmtpd dovecot-pop3d etherwake fetchmail fonts-noto-cjk \
	gsasl ipmitool iproute2 isync kannel kannel-extras libnet-ssleay-perl mpop mutt offlineimap3 \
	opendkim openipmi postfix python3 python3-sushy redfishtool swaks systemd tcpdump
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print 2>/dev/null)

.PHONY: help
help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

.PHONY: run
run: build ## Start the dev fleet: a controller and three servers on this machine (ARGS="--servers 5")
	bin/mailfleet-controller dev $(ARGS)

.PHONY: build
build: ui/dist/console/index.html ## Build the three programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/mailfleet-controller ./controller
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/mailfleet-agent ./agent
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/mailfleet-mailnode ./mailnode

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund
	@touch $@

ui/dist/console/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build
	@touch $@

.PHONY: test
test: peers build ## Run every test, with the race detector and real peers (PEERS=skip: without peers)
	go test -race -timeout 30m ./...
	cd ui && npm test --silent && npm run --silent size

.PHONY: check
check: ui/dist/console/index.html $(LINT) ## Format, vet, lint, import law, package docs, generated files, TypeScript
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt wants to change: $$unformatted"; exit 1; }
	go vet ./...
	$(LINT) run ./...
	go mod tidy -diff
	go test ./controller/e2e/law ./controller/rest -run 'ImportLaw|PackageDocs|Sentence|OpenAPIIsAsCommitted'
	cd ui && npm run --silent check

.PHONY: bench
bench: peers build ## Measure: SUITE=fleet|console|ops|store|smtp (all without it), ROWS=regexp; tables here, figures in .bench/
	go run ./controller/e2e/bench $(if $(SUITE),-suite $(SUITE)) $(if $(ROWS),-run '$(ROWS)')

.PHONY: soak
soak: ## Kill agents and controller at random, KILLS times (default 1000), while operations run; a history checker decides
	SOAK_KILLS=$${KILLS:-1000} go test ./controller/e2e -run '^TestOperationsSurviveKills$$' -count 1 -v -timeout 4h

.PHONY: soakmail
soakmail: peers ## Real IMAP and POP3 clients on 10,000 messages each, 10,000 idle connections, a mailbox of 500,000 (some five minutes)
	IMAPD_CLIENTS=10000 IMAPD_SOAK=10000 IMAPD_LARGE=500000 go test ./mailnode/imapd -count 1 -v -timeout 60m \
	  -run '^Test(Mbsync|OfflineIMAP|Mutt|Curl|Imaplib|Imapflow|ManyIdleConnections|ALargeMailbox)$$'
	go test ./mailnode/pop3d -count 1 -v -timeout 60m -run '^Test(Mpop|Fetchmail|Curl|Poplib|NodePop3)Fetches'

.PHONY: fuzz
fuzz: ## Run every fuzz target for TIME (default 20s) each
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "== $$p $$f"; go test $$p -run '^$$' -fuzz "^$$f\$$" -fuzztime $${TIME:-20s} -fuzzminimizetime 10x; done; done

NODE_PEERS := mailnode/testdata/node/node_modules/.package-lock.json
$(NODE_PEERS): mailnode/testdata/node/package.json mailnode/testdata/node/package-lock.json
	cd mailnode/testdata/node && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: peers
peers: $(NODE_PEERS) ## Install the packages of Debian (as root; otherwise names what is missing) and npm that tests use as real peers
	@missing=""; for p in $(PEER_PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$${PEERS:-}" = skip ]; then echo "PEERS=skip: tests with these real peers are skipped:$$missing"; exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Tests need these Debian packages:$$missing. Install them, or run make test PEERS=skip."; exit 1; fi; \
	echo "Installing$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null && \
	apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends $$missing >/dev/null

$(LINT):
	@mkdir -p .tools
	GOBIN=$(CURDIR)/.tools GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: clean
clean: ## Remove what was built, measured and run
	rm -rf bin .build .bench .dev ui/node_modules ui/dist/*
