# The commands of this project. Everything that they need beside Rust, Python 3.11 and make, they install under .tools/, pinned.

.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python previews contract properties fuzz bench instructions lint check-template build release reproducible requirements clean

PYTHON ?= python3.11
VENVS := aws ministack checks pins
FUNCTION := target/debug/eks-break-glass

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .needs-cargo ## A real recovery by the real function on a simulated EKS; needs no AWS account
	@echo "building the function and the simulator (some minutes at first, then seconds)"
	cargo build --locked --quiet --bin eks-break-glass
	cargo run --locked --quiet -p simulator --bin demo -- $(FUNCTION) --event events/grant.json

test: test-rust test-python ## Every test

test-rust: .needs-cargo
	cargo test --locked --workspace

test-python: .needs-cargo .tools/aws/.installed .tools/ministack/.installed
	cargo build --locked --quiet -p eks-break-glass -p eks-break-glass-chat -p simulator
	.tools/aws/bin/python -B -m pytest -p no:cacheprovider -q tests/interop tests/template

previews: .needs-cargo .tools/aws/.installed .tools/ministack/.installed ## Draws the messages of docs/chat/ anew, from what the chat function posts
	cargo build --locked --quiet -p eks-break-glass -p eks-break-glass-chat -p simulator
	UPDATE_PREVIEWS=1 .tools/aws/bin/python -B -m pytest -p no:cacheprovider -q tests/interop/test_chat.py

contract: .needs-cargo ## Writes the list of all names that documents and templates repeat: docs/schemas/contract.json
	UPDATE_CONTRACT=1 cargo test --locked --workspace --test suite -- contract::list_of_names

properties: .needs-cargo ## The properties with thousands of worlds (some four minutes); every run of the tests tries hundreds
	ALL_CASES=1 cargo test --locked --workspace --test suite -- --nocapture endless interruption

fuzz: .needs-cargo ## Hostile events, as many as CASES says, made from SEED (every run of the tests makes some, too)
	FUZZ_CASES=$(or $(CASES),5000000) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) \
	  cargo test --locked --test suite -- --nocapture hostile_events::whatever

bench: .needs-cargo .needs-valgrind .tools/aws/.installed ## Measures the function beside its peers, then counts instructions
	cargo build --locked --release -p eks-break-glass -p eks-break-glass-chat -p bare
	cargo build --locked --profile tool -p bench
	target/tool/bench --python .tools/aws/bin/python --aws .tools/aws/bin/aws
	target/tool/bench --instructions

instructions: .needs-cargo .needs-valgrind ## Counts instructions and holds them against bench/limits.json
	cargo build --locked --release -p eks-break-glass -p eks-break-glass-chat
	cargo build --locked --profile tool -p bench
	target/tool/bench --instructions

lint: .needs-cargo .tools/cargo/bin/cargo-deny check-template ## Formatting, lints, dependencies, template
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	.tools/cargo/bin/cargo-deny --locked check bans licenses sources

check-template: .tools/checks/.installed .tools/npm/.installed ## The templates and the runbooks, as SAM, CloudFormation and Step Functions see them
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 .tools/checks/bin/sam validate --lint --template template.yaml
	.tools/checks/bin/cfn-lint template.yaml target-account.yaml
	for machine in statemachines/*.asl.yaml; do .tools/checks/bin/python -c \
	  'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' < $$machine > .tools/npm/machine.json \
	  && .tools/npm/node_modules/.bin/asl-validator --json-path .tools/npm/machine.json || exit 1; done

build: .needs-cargo .tools/checks/.installed ## What SAM deploys, for this machine's architecture
	PATH="$(CURDIR)/.tools/checks/bin:$$PATH" SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-west-1 \
	  .tools/checks/bin/sam build --beta-features --parameter-overrides \
	  Architecture=$$(uname -m | sed 's/aarch64/arm64/')

release: .needs-cargo ## Both functions for this machine's architecture, their SBOM (CycloneDX) and checksums, in target/dist
	.ci/build-release target/dist/build
	for binary in eks-break-glass chat; do \
	  mkdir -p target/dist/$$binary && cp target/dist/build/release/$$binary target/dist/$$binary/bootstrap || exit 1; done
	$(PYTHON) .ci/sbom > target/dist/sbom.cdx.json
	cd target/dist && sha256sum */bootstrap sbom.cdx.json > SHA256SUMS && cat SHA256SUMS

reproducible: .needs-cargo ## Builds the release twice, in different folders, and compares the bytes (some ten minutes)
	.ci/reproducible

requirements: .tools/pins/.installed ## Pins the Python tools anew, with hashes, from requirements/*.in
	for tools in $(VENVS); do .tools/pins/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --output-file requirements/$$tools.txt requirements/$$tools.in; done

clean: ## Removes all that was built and installed
	rm -rf .tools .aws-sam target

.tools/%/.installed: requirements/%.txt
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON); install Python 3.11, or say PYTHON=..." >&2; exit 1; }
	@echo "installing the tools of requirements/$*.txt (once)"
	$(PYTHON) -m venv --clear .tools/$*
	.tools/$*/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$*.txt
	@touch $@

.tools/npm/.installed: requirements/npm/package-lock.json
	@command -v npm >/dev/null || { echo "missing: npm (Node.js 20), for the check of the state machines" >&2; exit 1; }
	@mkdir -p .tools/npm && cp requirements/npm/package.json requirements/npm/package-lock.json .tools/npm
	npm ci --silent --ignore-scripts --no-fund --no-audit --prefix .tools/npm
	@touch $@

.tools/cargo/bin/cargo-deny:
	@echo "installing cargo-deny (once, some minutes)"
	cargo install --quiet --locked --version 0.20.2 --root .tools/cargo cargo-deny

.PHONY: .needs-cargo .needs-valgrind
.needs-cargo:
	@command -v cargo >/dev/null || { echo "missing: cargo; install Rust (rustup reads the version from rust-toolchain.toml)" >&2; exit 1; }

.needs-valgrind:
	@command -v valgrind >/dev/null || { echo "missing: valgrind (Debian: apt-get install valgrind)" >&2; exit 1; }
