//! The base of our images: Debian's public slim image where it can be pulled, otherwise the same
//! system bootstrapped from the package mirror that this machine itself uses.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures::StreamExt as _;
use testcontainers::bollard::{
    Docker, body_full,
    query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{
    engine::EngineError,
    image::{ImageError, ImageOptions, LABEL_IMAGE},
    release::Release,
};
use crate::wire::WireText;

/// What packages may not leave behind.
const DPKG: &str = include_str!("../../../lab/base/dpkg.cfg");
/// Changes with anything below that changes what is in a bootstrapped base.
const RECIPE: &str = "mmdebstrap apt 1";
/// A hook of mmdebstrap that keeps perl out of bookworm: without it apt takes usrmerge.
const MERGED_USR: &str = "/usr/share/mmdebstrap/hooks/merged-usr";
/// What apt is told of a release whose lists are soon out of date; it stays in the image, where packages are added.
const ANY_AGE: &str = "Acquire::Check-Valid-Until \"false\"";
/// How long a registry may stay silent before the pull is given up.
const SILENCE: Duration = Duration::from_secs(20);
/// How much of a failing bootstrap is shown.
const TAIL: usize = 30;

/// What decides the content of the base; part of the tags of the images on it.
pub(super) fn spec(release: Release) -> String {
    format!("{RECIPE}\n{release}\n{DPKG}")
}

/// Makes `repo:tag`. A mirror in the options is an explicit wish to bootstrap.
pub(super) async fn make(
    docker: &Docker,
    options: &ImageOptions,
    repo: &str,
    tag: &str,
    progress: &mut impl FnMut(&str),
) -> Result<(), ImageError> {
    if options.mirror.is_none() {
        let public = format!("debian:{}-slim", options.release);
        if docker.inspect_image(&public).await.is_ok() || pull(docker, options.release, &public, progress).await {
            let to = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
            let tagged = docker.tag_image(&public, Some(to)).await;
            return tagged.map_err(|error| EngineError::new("cannot tag the base image", &error).into());
        }
    }
    bootstrap(docker, options, repo, tag, progress).await
}

/// Whether the public image could be pulled. Not being able to is no error: there is another way.
async fn pull(docker: &Docker, release: Release, public: &str, progress: &mut impl FnMut(&str)) -> bool {
    progress(&format!("pulling {public}"));
    let options = CreateImageOptionsBuilder::new().from_image("debian").tag(&format!("{release}-slim")).build();
    let mut answers = Box::pin(docker.create_image(Some(options), None, None));
    loop {
        match tokio::time::timeout(SILENCE, answers.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => {
                progress(&format!("cannot pull {public} ({})", WireText::from(error.to_string().as_str())));
                return false;
            }
            Ok(None) => return docker.inspect_image(public).await.is_ok(),
            Err(_) => {
                progress(&format!("cannot pull {public} (no answer in {} seconds)", SILENCE.as_secs()));
                return false;
            }
        }
    }
}

async fn bootstrap(
    docker: &Docker,
    options: &ImageOptions,
    repo: &str,
    tag: &str,
    progress: &mut impl FnMut(&str),
) -> Result<(), ImageError> {
    let sources = match &options.mirror {
        Some(mirror) => vec![format!("deb {mirror} {} main", options.release)],
        None => mirrors(&read_apt_sources(Path::new("/etc/apt")), options.release.name()),
    };
    if sources.is_empty() {
        return Err(ImageError::NoMirror { release: options.release });
    }
    let folder = tempfile::tempdir().map_err(ImageError::Scratch)?;
    let archive = folder.path().join("base.tar");
    let arguments = arguments(options.release, &archive, &sources);
    progress(&format!("bootstrapping Debian {} with mmdebstrap", options.release));
    let mut child = Command::new("mmdebstrap")
        .args(&arguments)
        // What it leaves behind when it is killed goes with the folder.
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ImageError::NoMmdebstrap { release: options.release },
            _ => ImageError::Scratch(error),
        })?;
    let mut tail = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(ImageError::Scratch)? {
            let line = WireText::from_bytes(line.trim_ascii_end());
            progress(line.as_str());
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.to_string());
        }
    }
    if !child.wait().await.map_err(ImageError::Scratch)?.success() {
        let log = Vec::from(tail).join("\n");
        if log.contains("No space left on device") {
            return Err(ImageError::NoSpace);
        }
        return Err(ImageError::Bootstrap { log });
    }
    let archive = tokio::fs::read(&archive).await.map_err(ImageError::Scratch)?;
    let changes = vec![format!("LABEL {LABEL_IMAGE}=base"), "CMD [\"/bin/sh\"]".to_owned()];
    import(docker, archive, repo, tag, changes).await
}

/// Makes an image of a tar archive. The engine's answer is a stream; its errors come in it.
pub(super) async fn import(
    docker: &Docker,
    archive: Vec<u8>,
    repo: &str,
    tag: &str,
    changes: Vec<String>,
) -> Result<(), ImageError> {
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(repo).tag(tag).changes(changes).build();
    let mut answers = Box::pin(docker.create_image(Some(options), Some(body_full(archive.into())), None));
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| EngineError::new("cannot import an image", &error))?;
    }
    Ok(())
}

fn arguments(release: Release, archive: &Path, sources: &[String]) -> Vec<String> {
    let mut arguments = vec!["--variant=apt".to_owned(), "--aptopt=APT::Install-Recommends \"false\"".to_owned()];
    arguments.extend(DPKG.lines().filter(|line| line.starts_with("path-")).map(|line| format!("--dpkgopt={line}")));
    if release == Release::Bookworm && Path::new(MERGED_USR).is_dir() {
        arguments.push(format!("--hook-dir={MERGED_USR}"));
    }
    if release == Release::Sid {
        // Its lists are valid for a week, and not every mirror takes new ones as often. They are signed whatever their age.
        arguments.push(format!("--aptopt={ANY_AGE}"));
    }
    arguments.extend([release.to_string(), archive.to_string_lossy().into_owned()]);
    arguments.extend(sources.iter().cloned());
    arguments
}

/// One `deb` entry of apt's sources.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

/// Debian's releases by the names that a mirror has them under.
const RELEASES: [&str; 7] = ["bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing"];

/// Those that are taken as they are: one gets no updates but new packages, the other got its last ones in August 2026, since
/// when mirrors drop them one by one.
const LATEST_ONLY: [&str; 2] = ["sid", "bullseye"];

/// The lines for `release` from the mirrors of this machine; empty if it has none of Debian.
fn mirrors(sources: &[Source], release: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for source in sources.iter().filter(|source| source.components.iter().any(|component| component == "main")) {
        for uri in source.uris.iter().filter(|uri| is_debian(uri)) {
            for suite in &source.suites {
                let (of, part) = suite.split_once(['-', '/']).map_or((suite.as_str(), ""), |(of, part)| (of, part));
                let suite = match part {
                    "" => release.to_owned(),
                    _ if LATEST_ONLY.contains(&release) => continue,
                    "updates" if uri.contains("security") => format!("{release}-security"),
                    "updates" | "security" => format!("{release}-{part}"),
                    _ => continue,
                };
                let line = format!("deb {uri} {suite} main");
                if RELEASES.contains(&of) && !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
    let has_release = lines.iter().any(|line| line.split(' ').nth(2) == Some(release));
    if has_release { lines } else { Vec::new() }
}

/// Whether it is a mirror of Debian itself, and not of packages of others for Debian.
fn is_debian(uri: &str) -> bool {
    (uri.starts_with("http://") || uri.starts_with("https://")) && uri.contains("debian")
}

/// What apt is configured with. An unreadable file is no mirror.
fn read_apt_sources(apt: &Path) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(apt.join("sources.list.d")) {
        let mut others: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        others.sort();
        files.append(&mut others);
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(parse_one_line(&text)),
            Some("sources") => sources.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    sources
}

/// The one-line format: `deb [options] uri suite component...`, sources.list(5).
fn parse_one_line(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(mut rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start) else {
            continue;
        };
        if rest.starts_with('[') {
            let Some((_, after)) = rest.split_once(']') else { continue };
            rest = after;
        }
        let mut words = rest.split_whitespace().map(str::to_owned);
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            sources.push(Source { uris: vec![uri], suites: vec![suite], components: words.collect() });
        }
    }
    sources
}

/// The deb822 format: paragraphs of fields, sources.list(5).
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let mut source = Source::default();
        let (mut is_binary, mut is_enabled, mut field) = (false, true, String::new());
        for line in paragraph {
            let value = if line.starts_with([' ', '\t']) {
                line
            } else {
                let Some((name, value)) = line.split_once(':') else { continue };
                field = name.trim().to_ascii_lowercase();
                value
            };
            let mut words = value.split_whitespace().map(str::to_owned);
            match field.as_str() {
                "types" => is_binary |= words.any(|word| word == "deb"),
                "enabled" => is_enabled = !words.any(|word| word == "no"),
                "uris" => source.uris.extend(words),
                "suites" => source.suites.extend(words),
                "components" => source.components.extend(words),
                _ => {}
            }
        }
        if is_binary && is_enabled {
            sources.push(source);
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_LINE: &str = "\
deb http://mirror.example/debian trixie main contrib
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian-security trixie-security main # with a remark
deb http://mirror.example/debian trixie-updates main
deb-src http://mirror.example/debian trixie main
# deb http://off.example/debian trixie main
deb https://packages.example/repos/code stable main
deb https://download.example/linux/debian trixie stable
";
    const DEB822: &str = "\
Types: deb deb-src
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components:
 main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    #[test]
    fn the_mirrors_of_this_machine_serve_another_release_too() {
        let expected = [
            "deb http://mirror.example/debian bookworm main",
            "deb http://mirror.example/debian-security bookworm-security main",
            "deb http://mirror.example/debian bookworm-updates main",
        ];
        assert_eq!(mirrors(&parse_one_line(ONE_LINE), "bookworm"), expected);
    }

    #[test]
    fn deb822_reads_folded_fields_and_skips_what_is_off() {
        let expected = [
            "deb http://mirror.example/debian bookworm main",
            "deb http://mirror.example/debian bookworm-updates main",
            "deb http://mirror.example/debian-security bookworm-security main",
        ];
        assert_eq!(mirrors(&parse_deb822(DEB822), "bookworm"), expected);
    }

    #[test]
    fn sid_and_bullseye_have_neither_updates_nor_security() {
        assert_eq!(mirrors(&parse_deb822(DEB822), "sid"), ["deb http://mirror.example/debian sid main"]);
        assert_eq!(mirrors(&parse_deb822(DEB822), "bullseye"), ["deb http://mirror.example/debian bullseye main"]);
    }

    #[test]
    fn a_machine_of_another_distribution_has_no_mirror() {
        let ubuntu = "deb http://archive.example/ubuntu noble main\ndeb http://archive.example/ubuntu noble-security main\n";
        assert!(mirrors(&parse_one_line(ubuntu), "bookworm").is_empty());
    }

    #[test]
    fn a_security_archive_alone_is_no_mirror() {
        let security = "deb http://mirror.example/debian-security bookworm-security main\n";
        assert!(mirrors(&parse_one_line(security), "bookworm").is_empty());
    }

    #[test]
    fn the_lists_of_sid_may_be_of_any_age() {
        let arguments = |release| arguments(release, Path::new("/x.tar"), &[]).join(" ");
        assert!(arguments(Release::Sid).contains("Valid-Until"));
        assert!(!arguments(Release::Trixie).contains("Valid-Until"));
    }

    #[test]
    fn the_excludes_reach_mmdebstrap() {
        let arguments = arguments(Release::Trixie, Path::new("/x.tar"), &["deb http://mirror.example trixie main".to_owned()]);
        assert!(arguments.contains(&"--dpkgopt=path-exclude=/usr/share/man/*".to_owned()), "{arguments:?}");
        assert!(!arguments.iter().any(|argument| argument.contains("hook-dir")), "{arguments:?}");
    }
}
