# What a person or CI does with this project. `just` alone lists it.

_default:
    @just --list

# The embedded corpus: start, check, compare.
run *arguments:
    cargo run --release -- run {{arguments}}

# The corpus on real servers in containers.
run-docker *arguments:
    cargo run --release -- run --backend docker {{arguments}}

# Hold the personas to the real servers of the same release: both must give the same report, dialog included.
fidelity *arguments:
    cargo run --release -- run --backend docker --kind postfix --kind postfix-debian --kind exim --kind exim-fresh --kind sendmail --kind courier --kind chasquid {{arguments}}

# Real Postfix and Exim of both releases deliver to every scenario; docs/senders.md says what they do. About 20 minutes.
senders *arguments:
    cargo run --release -- senders --release bookworm --release trixie --page docs/senders.md {{arguments}}

# Everything on every backend and release, with docs/matrix.md as its page. Takes about half an hour.
lab-full:
    cargo build --release
    target/release/mtalab images build --release bullseye
    target/release/mtalab images build --release bookworm
    target/release/mtalab images build --release trixie
    target/release/mtalab images build --release sid
    scripts/matrix

# Build the images of the Docker backend; unchanged ones are not built again.
images *arguments:
    cargo run --release -- images build {{arguments}}

# All tests.
test *arguments:
    cargo test {{arguments}}

# Kill a Docker run at 50 random moments: the next one must leave nothing of it.
cleanliness:
    MTALAB_KILLS=50 cargo test --test it -- docker::a_run_may_be_killed

# All tests, each in a process of its own.
nextest *arguments:
    cargo nextest run {{arguments}}

# The corpus has the same snapshots in this build as in any other, so it is also the test that the checker sees the same of
# OpenSSL as of the lab's own bytes; a switch between them would be one that only tests use.
# What the feature legacy-tls changes: the TLS of the embedded servers, and the corpus on them.
test-legacy:
    cargo test --features legacy-tls --lib --test corpus -- embedded

# Formatting, lints, documentation, licences and sources of dependencies.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo clippy --no-default-features --features embedded -- -D warnings
    cargo clippy --all-targets --features legacy-tls -- -D warnings
    RUSTFLAGS="--cfg fuzzing" cargo clippy --manifest-path fuzz/Cargo.toml -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo deny --all-features check bans licenses sources

# Write what is generated and committed: docs/rules.md, docs/scenarios.md, docs/schema/.
generate:
    MTALAB_GENERATE=1 cargo test --test it generated

# Accept what the embedded servers are seen to do now as the new snapshots.
snapshots:
    cargo run --release -- run --scenarios scenarios --update-snapshots

# Fuzz every reader of bytes from the wire, or those named, for so many seconds each.
fuzz seconds="60" *targets:
    scripts/fuzz {{seconds}} {{targets}}

# Record the seeds of the fuzz targets anew, from what the checker and the embedded servers say to each other.
fuzz-seeds:
    cargo test --lib fuzzing::seeds -- --ignored

# The figures of docs/performance.md.
bench:
    cargo bench
    scripts/measure

# Hold the domains of the corpus to delv and ldns-dane, and write docs/outside-dns.md; needs bind9-dnsutils and ldnsutils.
outside-dns *arguments:
    cargo build
    scripts/outside-dns {{arguments}}
