//! Whole domains in containers: what a real Postfix makes of them by the resolver that it is given.

use std::process::Command;

use mtalab::{
    lab::{
        RunningDomain,
        docker::{Destination, DockerBackend, DockerOptions, Ending, Mailer},
    },
    plan::{DomainPlan, Issuance},
    scenario::Corpus,
    verify,
};
use rstest::rstest;

use crate::{
    cli::{mtalab, run},
    docker::is_ready,
};

/// A domain of the corpus in containers.
struct World {
    docker: DockerBackend,
    run: String,
    plan: DomainPlan,
    running: RunningDomain,
}

impl World {
    async fn start(id: &str) -> Self {
        let options = DockerOptions::new(env!("CARGO_BIN_EXE_mtalab").into());
        let run = options.run.clone();
        let docker = DockerBackend::connect(options).await.unwrap();
        let case = verify::load(&Corpus::embedded().unwrap(), &[id.to_owned()]).unwrap().remove(0);
        let plan = DomainPlan::resolve(&case.id, &case.scenario, &case.kind, Issuance::now()).unwrap().unwrap();
        let running = docker.start_domain(&plan).await.unwrap();
        Self { docker, run, plan, running }
    }

    async fn stop(self) {
        self.running.stop().await;
        self.docker.cleanup().await.unwrap();
    }

    /// Runs a script in the container of a Postfix.
    fn postfix(&self, script: &str) -> String {
        let label = format!("label=mtalab.run={}", self.run);
        let all = docker(&["ps", "--filter", &label, "--format", "{{.Image}} {{.ID}}"]);
        let id = all.lines().find_map(|line| line.strip_prefix("mtalab-postfix:")?.split_once(' ')).expect("a Postfix runs").1;
        docker(&["exec", id, "sh", "-c", script])
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What Postfix says of the first host that it comes to: it takes TLSA records whose answer has the AD bit only.
#[rstest]
#[case::fits("dane/good", "Verified TLS connection established to mx.lab.test")]
#[case::fits_by_an_alias("dane/alias", "Verified TLS connection established to")]
#[case::of_another_key("dane/mismatch", "no matching DANE TLSA records")]
#[case::not_signed("dane/unsigned", "untrusted issuer")]
#[case::bogus("dns/bogus-mx", "Host or domain name not found")]
#[tokio::test(flavor = "multi_thread")]
async fn a_real_postfix_sees_what_is_proven(#[case] id: &str, #[case] words: &str) {
    if !is_ready() {
        return;
    }
    let world = World::start(id).await;
    let resolver = world.running.validator.expect("containers have one").ip();
    let said = world.postfix(&format!(
        "printf 'nameserver {resolver}\\noptions edns0 trust-ad\\n' > /etc/resolv.conf; posttls-finger -t 10 -T 10 -l dane -L summary lab.test"
    ));
    world.stop().await;
    assert!(said.contains(words), "{said}");
}

/// A sender is pointed to the resolver of a domain, and delivers to its host.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_asks_the_resolver_of_a_domain() {
    if !is_ready() {
        return;
    }
    let world = World::start("dane/good").await;
    let (host, address) = world.running.servers[0].clone();
    let to = Destination {
        host,
        address: (address, world.running.smtp_port).into(),
        roots: world.plan.trust.to_pem(),
        fingerprint: None,
        policy_map: None,
        domain: None,
        resolver: world.running.validator.map(|resolver| resolver.ip()),
    };
    let (deliveries, log) = world.docker.send(Mailer::Postfix, &to, &["may"]).await.unwrap();
    world.stop().await;
    assert_eq!(deliveries[0].ending, Ending::SentEncrypted, "{log}");
}

#[test]
fn what_containers_cannot_do_has_a_reason() {
    if !is_ready() {
        return;
    }
    let not_possible = [
        ("mx/sixty-addresses", "60 servers are more containers than"),
        ("mx/inconsistent-name-servers", "both name servers are one container"),
        ("mx/backup-silent", "is not silent"),
        ("mta-sts/policy-host-silent", "is not silent"),
    ];
    let ids = not_possible.map(|(id, _)| id);
    let (code, out, err) = run(mtalab().args(["run", "--backend", "docker"]).args(ids));
    assert_eq!(code, 0, "{out}{err}");
    for (id, reason) in not_possible {
        assert!(out.lines().any(|line| line.contains(id) && line.contains(reason)), "{id}: {out}");
    }
}
