# What a person or CI does with this project. `just` alone lists it.

_default:
    @just --list

# The embedded corpus: start, check, compare.
run *arguments:
    cargo run --release -- run {{arguments}}

# The corpus on real servers in containers.
run-docker *arguments:
    cargo run --release -- run --backend docker {{arguments}}

# Build the images of the Docker backend; unchanged ones are not built again.
images *arguments:
    cargo run --release -- images build {{arguments}}

# All tests.
test *arguments:
    cargo test {{arguments}}

# All tests, each in a process of its own.
nextest *arguments:
    cargo nextest run {{arguments}}

# Formatting, lints, documentation, licences and sources of dependencies.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo clippy --no-default-features --features embedded -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo deny --all-features check bans licenses sources

# Write what is generated and committed: docs/rules.md, docs/scenarios.md, docs/schema/.
generate:
    MTALAB_GENERATE=1 cargo test --test it generated

# Accept what the embedded servers are seen to do now as the new snapshots.
snapshots:
    cargo run --release -- run --scenarios scenarios --update-snapshots

# The figures of docs/performance.md.
bench:
    cargo bench
    scripts/measure
