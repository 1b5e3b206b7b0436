//! The corpus as tests: one per scenario, kind of server and backend, found when the tests
//! run, named `embedded::certificate::expired::postfix`. Truth first, then the snapshot.
//!
//! `cargo test --test corpus -- docker` runs those in containers only. Without Docker they are
//! ignored, and say why; where `CI=true` is set they fail instead, since a CI without Docker
//! would prove less than it seems.
#![expect(clippy::print_stdout, reason = "a harness of its own tells what it skips")]

use std::{path::Path, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use mtalab::{
    lab::Backend,
    plan::Issuance,
    scenario::Corpus,
    verify::{self, Case, CaseOutcome},
};
use tokio::runtime::Runtime;

fn main() {
    let arguments = Arguments::from_args();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let corpus = Corpus::from_dir(&scenarios).unwrap_or_else(|error| panic!("{error}"));
    let cases = match verify::load(&corpus, &[]) {
        Ok(cases) => cases,
        Err(verify::LoadError::Scenarios(errors)) => {
            panic!("{}", errors.iter().map(|error| error.render(false)).collect::<Vec<_>>().join("\n"))
        }
        Err(error) => panic!("{error}"),
    };
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let embedded = Arc::new(Backend::Embedded);
    #[cfg_attr(not(feature = "docker"), expect(unused_mut, reason = "Docker adds to it"))]
    let mut trials: Vec<_> = cases.iter().map(|case| trial("embedded", case, &runtime, &embedded)).collect();
    let docker = docker::Docker::find(&runtime);
    #[cfg(feature = "docker")]
    trials.extend(cases.iter().map(|case| docker.trial(case, &runtime)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    docker.end(&runtime);
    conclusion.exit();
}

fn trial(backend_name: &str, case: &Case, runtime: &Arc<Runtime>, backend: &Arc<Backend>) -> Trial {
    let (case, runtime, backend) = (case.clone(), Arc::clone(runtime), Arc::clone(backend));
    Trial::test(name(backend_name, &case), move || judge(&case, &runtime, &backend))
}

fn name(backend: &str, case: &Case) -> String {
    format!("{backend}::{}::{}", case.id.replace('/', "::"), case.kind)
}

/// Runs the case, then asserts the snapshot in this thread, where insta's settings hold.
fn judge(case: &Case, runtime: &Runtime, backend: &Backend) -> Result<(), Failed> {
    // insta compares and keeps what is new; the harness need not do it as well.
    let case = Case { snapshot: None, ..case.clone() };
    let outcome = runtime.block_on(verify::run_case(&case, backend, Issuance::now()));
    let seen = match outcome {
        CaseOutcome::Passed(seen) => seen,
        CaseOutcome::Failed { failures, seen } => {
            return Err(format!("{}\n\n{}\n{}", failures.join("\n"), seen.redacted, seen.server_log).into());
        }
        CaseOutcome::NotPossible(reason) => {
            println!("not possible: {reason}");
            return Ok(());
        }
        CaseOutcome::Broken(error) => return Err(format!("{error}").into()),
    };
    let (topic, file) = case.id.split_once('/').expect("an id is topic/case");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(topic));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let compare = || insta::assert_snapshot!(format!("{file}.{}", case.kind), seen.redacted);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| settings.bind(compare)))
        .map_err(|_| Failed::from("the report is not what the snapshot says; see above"))
}

#[cfg(feature = "docker")]
mod docker {
    use mtalab::lab::docker::{self, DockerBackend, DockerOptions, Release};

    use super::*;

    /// The domains that run in containers here; `just run-docker` runs all of them.
    const DOMAINS: [&str; 24] = [
        "dane/good",
        "dane/alias",
        "dane/bogus",
        "dane/ee-expired",
        "dane/mismatch",
        "dane/no-starttls",
        "dane/one-address-mismatch",
        "dane/rollover",
        "dane/unsigned",
        "dns/bogus-mx",
        "dns/ds-mismatch",
        "dns/expired",
        "dns/no-proofs",
        "dns/wildcard-mx",
        "mta-sts/enforce",
        "mta-sts/host-expired",
        "mta-sts/policy-host-expired",
        "mta-sts/policy-host-refuses",
        "mx/backup-down",
        "mx/implicit",
        "mx/null",
        "mx/one-bad-of-three",
        "mx/two-families",
        "tlsrpt/good",
    ];

    /// The Docker backend, or why there is none here.
    pub(crate) enum Docker {
        Ready(Arc<Backend>),
        /// It could be had, but this process only lists its tests, or runs others.
        Idle,
        Missing(String),
    }

    impl Docker {
        pub(crate) fn find(runtime: &Runtime) -> Self {
            let why = match runtime.block_on(docker::status(Release::default())) {
                Ok(images) if images.iter().all(|image| image.size.is_some()) => None,
                Ok(_) => Some("ignored: images not built, run `just images`".to_owned()),
                Err(error) => Some(format!("skipped: no Docker: {error}")),
            };
            if let Some(why) = why {
                return Self::Missing(why);
            }
            let arguments = Arguments::from_args();
            let is_for_others = arguments.filter.is_some_and(|filter| filter.starts_with("embedded"));
            if arguments.list || is_for_others {
                return Self::Idle;
            }
            let options = DockerOptions::new(env!("CARGO_BIN_EXE_mtalab").into());
            match runtime.block_on(DockerBackend::connect(options)) {
                Ok(docker) => Self::Ready(Arc::new(Backend::Docker(Box::new(docker)))),
                Err(error) => Self::Missing(format!("skipped: no Docker: {error}")),
            }
        }

        pub(crate) fn trial(&self, case: &Case, runtime: &Arc<Runtime>) -> Trial {
            // A domain is five containers or more: some of each kind are enough for every day.
            let is_left_out = case.scenario.domain.is_some() && !DOMAINS.contains(&case.id.as_str());
            match self {
                Self::Ready(backend) => trial("docker", case, runtime, backend).with_ignored_flag(is_left_out),
                Self::Idle => Trial::test(name("docker", case), || Err(Failed::from("the filter left this out"))),
                Self::Missing(why) => {
                    let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
                    let why = why.clone();
                    let is_ignored = !must || is_left_out;
                    Trial::test(name("docker", case), move || Err(Failed::from(why))).with_ignored_flag(is_ignored)
                }
            }
        }

        pub(crate) fn end(&self, runtime: &Runtime) {
            match self {
                Self::Ready(backend) => {
                    if let Backend::Docker(docker) = &**backend {
                        runtime.block_on(docker.cleanup()).expect("nothing is left behind");
                    }
                }
                Self::Idle => {}
                Self::Missing(why) => println!("{why}"),
            }
        }
    }
}

/// A build without the Docker backend has no tests of it.
#[cfg(not(feature = "docker"))]
mod docker {
    use super::*;

    pub(crate) struct Docker;

    impl Docker {
        pub(crate) fn find(_: &Runtime) -> Self {
            Self
        }

        pub(crate) fn end(&self, _: &Runtime) {}
    }
}
