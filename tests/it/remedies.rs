//! The remedies for Postfix, tried: each rule's printed lines are applied to a real Postfix that violates it, and the
//! rule is asked again.
//!
//! Without Docker, or without the images, this says so and passes; with `CI=true` it fails.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mtalab::{
    rules::{self, Rule},
    scenario::Corpus,
    verify::{self, Case},
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RsaKeySize,
};
use serde_json::Value;

use crate::{
    cli::{mtalab, run},
    docker::is_ready,
};

/// Where the lab's Postfix has its key and certificates.
const CHAIN: &str = "/etc/postfix/chain.pem";
/// Rules whose remedy for Postfix is no line that a test can apply, and why.
const NOT_TRIED: &str = include_str!("remedies.toml");

/// What the remedy for Postfix says to do.
#[derive(Debug, Default, PartialEq)]
struct Remedy {
    /// Settings for `postconf -e`.
    settings: Vec<String>,
    /// Commands, as they are printed.
    commands: Vec<String>,
    /// Whether there is to be another certificate.
    is_new_certificate: bool,
}

impl Remedy {
    /// The bullet of the rule's page that is for Postfix; none where there is none.
    fn of(rule: &Rule) -> Option<Self> {
        let section = rule.section("Remedy");
        let mut bullets = section.split("\n- ").map(|bullet| bullet.strip_prefix("- ").unwrap_or(bullet).replace("\n  ", " "));
        let bullet = bullets.find(|bullet| bullet.split(':').next().is_some_and(|names| names.contains("Postfix")))?;
        let mut remedy = Self { is_new_certificate: bullet.contains("chain_files"), ..Self::default() };
        for code in bullet.split('`').skip(1).step_by(2) {
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            match code.split_once(" = ") {
                Some((name, _)) if name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') => {
                    remedy.settings.push(code);
                }
                _ if code.starts_with("openssl req") => remedy.is_new_certificate = true,
                _ if code.starts_with("openssl ") || code.starts_with("postconf ") => remedy.commands.push(code),
                _ => {}
            }
        }
        Some(remedy)
    }

    fn words(&self) -> String {
        let certificate = self.is_new_certificate.then(|| "a new certificate".to_owned());
        let code = self.commands.iter().chain(&self.settings).map(|code| format!("`{code}`"));
        code.chain(certificate).collect::<Vec<_>>().join(", ")
    }
}

/// A lab that `mtalab up` keeps, until it is dropped.
struct Lab {
    id: String,
    address: String,
    host: String,
    root: String,
    container: String,
}

impl Lab {
    /// None where a real Postfix cannot be made to do it.
    fn up(case: &Case) -> Option<Self> {
        let (code, out, _) =
            run(mtalab().args(["up", &case.id, "--kind", "postfix", "--backend", "docker", "--scenarios", "scenarios"]));
        if code != 0 {
            return None;
        }
        let lab: Value = serde_json::from_str(&out).unwrap();
        let text = |key: &str| lab[key].as_str().unwrap().to_owned();
        let filter = format!("label=mtalab.kept={}", text("id"));
        let of_postfix = ["ps", "--quiet", "--filter", &filter, "--filter", "label=mtalab.image=mtalab-postfix"];
        let found = Command::new("docker").args(of_postfix).output().unwrap();
        let container = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        Some(Self { id: text("id"), address: text("address"), host: text("host"), root: text("ca_file"), container })
    }

    fn exec(&self, arguments: &[&str]) {
        let output = Command::new("docker").arg("exec").arg(&self.container).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether a check finds the rule violated; what it says otherwise.
    fn violates(&self, rule: &Rule, case: &Case, roots: &[&str]) -> Result<bool, String> {
        let policy = case.scenario.policy.as_deref().unwrap_or("mtalab");
        let mut check = mtalab();
        check.args(["check", &self.host, "--connect", &self.address, "--format", "json", "--patience", "10s"]);
        check.args(["--probe", case.scenario.probe.name(), "--policy", policy]);
        for root in roots {
            check.args(["--trust", root]);
        }
        let (_, out, err) = run(&mut check);
        let report: Value = serde_json::from_str(&out).map_err(|_| format!("no report: {err}"))?;
        let said = report["rules"].as_array().unwrap().iter().find(|entry| entry["id"] == rule.id).unwrap();
        match said["outcome"].as_str().unwrap() {
            "violated" => Ok(true),
            "passed" | "not-applicable" => Ok(false),
            other => Err(format!("{other}: {}", said["reason"])),
        }
    }

    /// Does what the remedy says.
    fn mend(&self, remedy: &Remedy, folder: &Path) {
        if remedy.is_new_certificate {
            let file = folder.join("chain.pem");
            fs::write(&file, certificate(&self.host, folder)).unwrap();
            let place = format!("{}:{CHAIN}", self.container);
            assert!(
                Command::new("docker").args(["cp", "--quiet", file.to_str().unwrap(), &place]).output().unwrap().status.success()
            );
            self.exec(&["chown", "root:root", CHAIN]);
        }
        for command in &remedy.commands {
            self.exec(&["sh", "-c", command]);
        }
        for setting in &remedy.settings {
            self.exec(&["postconf", "-e", &setting.replace("mx.example.org", &self.host)]);
        }
        self.exec(&["postfix", "reload"]);
        // Processes that are waiting for a client end with the next one, not at once.
        std::thread::sleep(Duration::from_millis(1500));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = run(mtalab().args(["down", &self.id]));
    }
}

/// Key, certificate and intermediate for a host, in PEM; the root is written beside it.
fn certificate(host: &str, folder: &Path) -> String {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = time::OffsetDateTime::now_utc() - time::Duration::days(1);
        params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(1000);
        params
    };
    let (root, root_key) = (authority("Another root"), KeyPair::generate().unwrap());
    let (above, above_key) = (authority("Another intermediate"), KeyPair::generate().unwrap());
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut leaf = CertificateParams::new([host.to_owned()]).unwrap();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, host);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.not_before = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    leaf.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(40);
    fs::write(folder.join("root.pem"), root.self_signed(&root_key).unwrap().pem()).unwrap();
    let root = Issuer::from_params(&root, &root_key);
    let intermediate = above.signed_by(&above_key, &root).unwrap().pem();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&above, &above_key)).unwrap().pem();
    format!("{}{leaf}{intermediate}", key.serialize_pem())
}

/// Finds a scenario that a real Postfix can run, mends it, and says how that went; `Err` where the remedy is none.
fn prove(rule: &Rule, remedy: &Remedy, cases: &[Case]) -> Result<String, String> {
    let fitting = cases.iter().filter(|case| {
        let scenario = &case.scenario;
        case.kind == "postfix"
            && scenario.vantage.is_empty()
            && scenario.fault.relay.is_none()
            && scenario.expect.must.iter().any(|id| id == rule.id)
    });
    for case in fitting.take(3) {
        let Some(lab) = Lab::up(case) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let before = lab.violates(rule, case, &[&lab.root]);
        if before != Ok(true) {
            return Err(format!("{} on {}: before the remedy: {before:?}", rule.id, case.id));
        }
        lab.mend(remedy, folder.path());
        let other = folder.path().join("root.pem");
        let roots: Vec<&str> =
            [Path::new(&lab.root), &other].into_iter().filter(|path| path.exists()).filter_map(Path::to_str).collect();
        return match lab.violates(rule, case, &roots) {
            Ok(false) => Ok(format!("{}: {} mends it", case.id, remedy.words())),
            after => Err(format!("{} on {}: after {}: {after:?}", rule.id, case.id, remedy.words())),
        };
    }
    Ok("no scenario that violates it runs on a real Postfix".to_owned())
}

#[test]
fn the_printed_remedies_mend_a_real_postfix() {
    if !is_ready() {
        return;
    }
    let reasons: BTreeMap<String, String> = toml::from_str(NOT_TRIED).unwrap();
    let cases = verify::load(&Corpus::embedded().unwrap(), &[]).unwrap();
    let rules: Vec<(&Rule, Remedy)> = rules::catalogue().iter().filter_map(|rule| Some((*rule, Remedy::of(rule)?))).collect();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    // The engine is no faster with more at a time.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((rule, remedy)) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = match reasons.get(rule.id) {
                        Some(reason) => Ok(format!("not tried: {reason}")),
                        None if remedy.words().is_empty() => Err(format!("{}: the remedy has no line to apply", rule.id)),
                        None => prove(rule, remedy, &cases),
                    };
                    outcomes.lock().unwrap().insert(rule.id, outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let failed: Vec<&String> = outcomes.values().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let mut table = String::new();
    for (rule, outcome) in &outcomes {
        let _ = writeln!(table, "{rule}\n    {}", outcome.as_ref().unwrap());
    }
    insta::assert_snapshot!("remedies_for_postfix", table);
}

#[test]
fn a_remedy_is_read_from_its_page() {
    let read = |id: &str| Remedy::of(rules::find(id).unwrap()).unwrap();
    assert_eq!(read("rc4-suites").settings, ["smtpd_tls_exclude_ciphers = RC4"]);
    assert!(read("certificate-expired").is_new_certificate);
    assert!(read("weak-rsa-key").is_new_certificate);
}
