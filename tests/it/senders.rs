//! Real Postfix and Exim as senders: what the checker says of them, and what a sink sees of them.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use mtalab::{
    lab::{
        Backend, ServerOrder,
        docker::{Destination, DockerBackend, DockerOptions, Ending, Mailer},
        embedded::{self, Teller},
    },
    plan::{Issuance, Plan},
    scenario::Corpus,
    sink::Guests,
    verify,
};

use crate::{
    cli::{mtalab, run},
    docker::is_ready,
};

/// One scenario for each thing that may happen.
const REPRESENTATIVE: [&str; 9] = [
    "baseline/good",
    "certificate/expired",
    "certificate/wrong-name",
    "certificate/self-signed",
    "certificate/sha1",
    "starttls/off",
    "starttls/refused-554",
    "tls/tls10-only",
    "handshake/sni-required",
];

/// The same for domains: records that fit, that do not, that cannot be used, that are not proven, and an alias.
const REPRESENTATIVE_DOMAINS: [&str; 6] = [
    "dane/good",
    "dane/mismatch",
    "dane/unusable-only",
    "dane/ta-wrong-name",
    "dane/secure-host-of-unsigned-domain",
    "dane/alias",
];

#[test]
fn senders_follow_dns_as_is_said_of_them() {
    if !is_ready() {
        return;
    }
    let (code, out, err) = run(mtalab().arg("senders").args(REPRESENTATIVE_DOMAINS));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("0 otherwise, 0 not predicted"), "{out}");
    assert!(out.contains("to 6 scenarios"), "{out}");
}

#[test]
fn senders_do_what_is_said_of_them() {
    if !is_ready() {
        return;
    }
    let (code, out, err) = run(mtalab().arg("senders").args(REPRESENTATIVE));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("0 otherwise, 0 not predicted"), "{out}");
}

/// A sink tells the policies of real senders by what they do with an expired certificate.
#[tokio::test]
async fn a_sink_tells_the_policies_of_real_senders() {
    if !is_ready() {
        return;
    }
    let executable = env!("CARGO_BIN_EXE_mtalab").into();
    let docker = DockerBackend::connect(DockerOptions::new(executable)).await.unwrap();
    let case = verify::load(&Corpus::embedded().unwrap(), &["certificate/expired".to_owned()]).unwrap().remove(0);
    let plan = Plan::resolve(&case.id, &case.scenario, &case.kind, Issuance::now()).unwrap();
    let running = Backend::Embedded.start(&plan).await.unwrap();
    let rows = verify::examine(&running, &plan, &case.scenario).await.unwrap().senders;
    running.stop().await;

    for (mailer, policy, ending, alike) in [
        (Mailer::Postfix, "may", Ending::SentEncrypted, "postfix-may"),
        (Mailer::Postfix, "verify", Ending::Deferred, "postfix-verify"),
        (Mailer::Exim, "default", Ending::SentEncrypted, "exim-default"),
        (Mailer::Exim, "verify-hosts", Ending::Deferred, "exim-verify-hosts"),
    ] {
        let (teller, mut visits) = Teller::new(Duration::from_secs(60));
        let order = ServerOrder { plan: plan.server.clone(), sources: BTreeMap::new() };
        let (address, serve) = embedded::listen_and_tell(order, SocketAddr::new(docker.gateway(), 0), teller).await.unwrap();
        let server = tokio::spawn(serve);
        let to = Destination {
            host: plan.server.host.clone(),
            address,
            roots: plan.trust.to_pem(),
            fingerprint: None,
            policy_map: None,
            domain: None,
            resolver: None,
        };
        let (delivered, log) = docker.send(mailer, &to, &[policy]).await.unwrap();
        assert_eq!(delivered[0].ending, ending, "{policy}: {log}");
        let mut guests = Guests::default();
        guests.count(&visits.recv().await.unwrap());
        while let Ok(visited) = visits.try_recv() {
            guests.count(&visited);
        }
        server.abort();
        let guest = guests.by_address.values().next().unwrap();
        let seen: Vec<&str> = guest.alike(&rows).iter().map(|row| row.sender).collect();
        assert!(seen.contains(&alike), "{policy}: {seen:?} of {guest:?}");
        assert!(guest.suites.keys().all(|suite| suite.starts_with("TLSv1.3 ")), "{guest:?}");
        // GnuTLS verifies in the middle of the handshake, and ends it there; whether the server has its end by then is chance.
        assert!(guest.handshakes >= 1 || (mailer, ending) == (Mailer::Exim, Ending::Deferred), "{guest:?}");
    }
    docker.cleanup().await.unwrap();
}

/// The last line of the way is that of the server, and says what it saw: here a real Exim delivers to `mtalab send`'s peer.
#[test]
fn a_message_is_sent_to_real_servers_under_each_policy() {
    if !is_ready() {
        return;
    }
    for (kind, policy, expected) in [
        ("postfix", "postfix-may", 0),
        ("postfix", "postfix-verify", 1),
        ("exim", "exim-default", 0),
        ("exim", "exim-verify-hosts", 1),
    ] {
        let (code, out, err) = run(mtalab().args(["up", "certificate/expired", "--kind", kind, "--backend", "docker"]));
        assert_eq!(code, 0, "{err}");
        let lab: serde_json::Value = serde_json::from_str(&out).unwrap();
        let (code, sent, err) = run(mtalab().args([
            "send",
            lab["host"].as_str().unwrap(),
            "--connect",
            lab["address"].as_str().unwrap(),
            "--trust",
            lab["ca_file"].as_str().unwrap(),
            "--to",
            "someone@lab.test",
            "--policy",
            policy,
        ]));
        let (ended, ..) = run(mtalab().args(["down", lab["id"].as_str().unwrap()]));
        assert_eq!((code, ended), (expected, 0), "{kind} {policy}: {sent}{err}");
        assert!(expected == 0 || sent.contains("certificate-expired"), "{sent}");
    }
}
