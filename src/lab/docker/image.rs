//! The images of the lab. Those of real MTAs are built once, by `mtalab images build`; the one of
//! mtalab itself is made on demand and needs no network.
//!
//! Every tag is a hash over all that decides the content, so an unchanged image is never built
//! twice, and a changed recipe never finds an old image.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use futures::StreamExt as _;
use testcontainers::bollard::{
    Docker, body_full,
    errors::Error as ApiError,
    query_parameters::{BuildImageOptionsBuilder, BuilderVersion, ListImagesOptionsBuilder, RemoveImageOptions},
};

use super::{
    base,
    closure::{Closure, ClosureError},
    engine::{self, EngineError},
    mta::{self, Mta},
    release::Release,
    resolver,
};
use crate::wire::WireText;

/// The label that says which of our images it is.
pub(super) const LABEL_IMAGE: &str = "mtalab.image";
/// Where an image stands that holds mtalab itself.
const OWN: &str = "mtalab-own";
/// How old another executable's image must be before it is removed: a run beside this one may be
/// about to use a younger one.
const OLD: Duration = Duration::from_secs(600);
/// How much of a failing build is shown.
const TAIL: usize = 30;

/// What the images are built of.
#[derive(Clone, Debug, Default)]
pub struct ImageOptions {
    /// The Debian release.
    pub release: Release,
    /// The kinds of server, or `unbound`, which domains need; all where none is named.
    pub kinds: Vec<String>,
    /// The package mirror to bootstrap from; if absent, Debian's public image is pulled, or else
    /// the mirror is the one that apt on this machine uses.
    pub mirror: Option<String>,
}

/// An image that `build` made or found.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its name and tag.
    pub image: String,
    /// Its size in bytes, what it shares with others included.
    pub size: u64,
    /// How long it took; nothing if it was there already.
    pub took: Option<Duration>,
}

/// Whether an image is there.
#[derive(Clone, Debug)]
pub struct ImageStatus {
    /// The kind of server that it is for, `unbound`, or `base` for the one below all of them.
    pub kind: &'static str,
    /// Its name and tag.
    pub image: String,
    /// Its size in bytes; nothing if it is not built.
    pub size: Option<u64>,
}

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The engine is not there, full, or refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No image has such a name.
    #[error("there is no image for `{kind}`; there are those for {known}")]
    Kind {
        /// What was asked for.
        kind: WireText,
        /// What there is.
        known: String,
    },
    /// The mirror is no URL that a sources list can hold.
    #[error("`{0}` is no mirror: use a URL such as `http://HOST/debian`")]
    Mirror(WireText),
    /// The public image cannot be pulled, and the tool to do without is missing.
    #[error(
        "debian:{release}-slim cannot be pulled, and mmdebstrap, which makes it from packages, is missing: `sudo apt-get install mmdebstrap`"
    )]
    NoMmdebstrap {
        /// The release.
        release: Release,
    },
    /// The public image cannot be pulled, and this machine has no mirror of Debian.
    #[error(
        "debian:{release}-slim cannot be pulled, and apt on this machine has no mirror of Debian: name one, `mtalab images build --mirror URL`"
    )]
    NoMirror {
        /// The release.
        release: Release,
    },
    /// The bootstrap failed.
    #[error("mmdebstrap failed (without root it needs user namespaces: try `sudo mtalab images build`); its last lines:\n{log}")]
    Bootstrap {
        /// Its last lines, escaped.
        log: String,
    },
    /// A build failed.
    #[error("the image {image} cannot be built; its last lines:\n{log}")]
    Build {
        /// The image.
        image: String,
        /// The last lines of the build, escaped.
        log: String,
    },
    /// The executable cannot be carried into an image.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// The bootstrap did not fit.
    #[error("the folder for temporary files is full: free some space there, or name another folder in TMPDIR")]
    NoSpace,
    /// A temporary file or a child process failed.
    #[error("a temporary file cannot be written or a tool cannot be run: {0}")]
    Scratch(#[source] io::Error),
}

/// Builds what is not built yet. `progress` gets the lines of the builds, escaped.
pub async fn build(options: &ImageOptions, mut progress: impl FnMut(&str)) -> Result<Vec<Built>, ImageError> {
    let recipes = selected(options)?;
    let docker = engine::connect().await?;
    let base = base_image(options.release);
    let started = Instant::now();
    let is_there = exists(&docker, &base).await?;
    if !is_there {
        base::make(&docker, options, &base.repo, &base.tag, &mut progress).await?;
    }
    let mut built = vec![report(&docker, &base, (!is_there).then(|| started.elapsed())).await?];
    for recipe in recipes {
        let image = recipe.image(options.release);
        let started = Instant::now();
        let is_there = exists(&docker, &image).await?;
        if !is_there {
            progress(&format!("building {image}"));
            docker_build(&docker, &image, &base, recipe.context, &mut progress).await?;
        }
        built.push(report(&docker, &image, (!is_there).then(|| started.elapsed())).await?);
    }
    Ok(built)
}

/// Which images are there for a release.
pub async fn status(release: Release) -> Result<Vec<ImageStatus>, ImageError> {
    let docker = engine::connect().await?;
    let mut found = Vec::new();
    let above = recipes().map(|recipe| (recipe.kind, recipe.image(release)));
    for (kind, image) in std::iter::once(("base", base_image(release))).chain(above) {
        found.push(ImageStatus { kind, image: image.to_string(), size: size(&docker, &image).await? });
    }
    Ok(found)
}

/// A name and a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageName {
    pub(super) repo: String,
    pub(super) tag: String,
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repo, self.tag)
    }
}

/// What an image is built of.
#[derive(Clone, Copy)]
struct Recipe {
    kind: &'static str,
    /// The Dockerfile and what it copies, by path.
    context: &'static [(&'static str, &'static str)],
}

impl Recipe {
    fn of(mta: &dyn Mta) -> Self {
        Self { kind: mta.kind(), context: mta.context() }
    }

    fn image(self, release: Release) -> ImageName {
        let base = base::spec(release);
        let context = self.context.iter().flat_map(|(path, content)| [*path, *content]);
        let parts: Vec<_> = std::iter::once(base.as_str()).chain(context).collect();
        named(&format!("mtalab-{}", self.kind), release, &parts)
    }
}

/// That of the resolver.
const RESOLVER: Recipe = Recipe { kind: resolver::KIND, context: resolver::CONTEXT };

/// All of them, in the order in which they are built.
fn recipes() -> impl Iterator<Item = Recipe> {
    mta::all().map(Recipe::of).chain([RESOLVER])
}

/// The image of a real MTA.
pub(super) fn of_mta(mta: &dyn Mta, release: Release) -> ImageName {
    Recipe::of(mta).image(release)
}

/// The image of the resolver.
pub(super) fn of_resolver(release: Release) -> ImageName {
    RESOLVER.image(release)
}

fn base_image(release: Release) -> ImageName {
    named("mtalab-base", release, &[&base::spec(release)])
}

fn named(repo: &str, release: Release, parts: &[&str]) -> ImageName {
    let all = parts.join("\0");
    let hash = hex(digest(&SHA256, all.as_bytes()).as_ref());
    ImageName { repo: repo.to_owned(), tag: format!("{release}-{}", short(&hash)) }
}

/// Whether the engine has the image.
pub(super) async fn exists(docker: &Docker, image: &ImageName) -> Result<bool, EngineError> {
    Ok(size(docker, image).await?.is_some())
}

/// The image of an executable, made if it is not there.
pub(super) async fn ensure_own(docker: &Docker, executable: &Path) -> Result<ImageName, ImageError> {
    let closure = Closure::of(executable)?;
    let (closure, hash) = blocking(move || closure.hash().map(|hash| (closure, hash))).await??;
    let image = ImageName { repo: OWN.to_owned(), tag: short(&hash).to_owned() };
    if exists(docker, &image).await? {
        return Ok(image);
    }
    // Test processes that start together would each make it.
    let _lock = blocking(lock).await?;
    if exists(docker, &image).await? {
        return Ok(image);
    }
    let changes = vec![format!("LABEL {LABEL_IMAGE}=own"), format!("ENV LD_LIBRARY_PATH={}", closure.library_path())];
    let archive = blocking(move || closure.archive(Vec::new())).await??;
    base::import(docker, archive, &image.repo, &image.tag, changes).await?;
    remove_old(docker, &image).await;
    Ok(image)
}

/// Removes the images of earlier executables. One that is in use stays; none is worth an error.
async fn remove_old(docker: &Docker, current: &ImageName) {
    let label = format!("{LABEL_IMAGE}=own");
    let options = ListImagesOptionsBuilder::new().filters(&engine::labelled(&label)).build();
    let Ok(images) = docker.list_images(Some(options)).await else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let current = current.to_string();
    let age = i64::try_from(OLD.as_secs()).unwrap_or(i64::MAX);
    for image in images.iter().filter(|image| !image.repo_tags.contains(&current) && image.created < now - age) {
        let _ = docker.remove_image(&image.id, None::<RemoveImageOptions>, None).await;
    }
}

async fn docker_build(
    docker: &Docker,
    image: &ImageName,
    base: &ImageName,
    context: &[(&str, &str)],
    progress: &mut impl FnMut(&str),
) -> Result<(), ImageError> {
    let arguments = [("BASE", base.to_string())].into();
    let labels = [(LABEL_IMAGE, image.repo.as_str())].into();
    // The host's network: only there is a mirror sure to be reached that this machine reaches, by
    // its hosts file or over its VPN. The legacy builder: the other one needs a session, and shows
    // no readable log.
    let options = BuildImageOptionsBuilder::new()
        .t(&image.to_string())
        .rm(true)
        .forcerm(true)
        .networkmode("host")
        .buildargs(&arguments)
        .labels(&labels)
        .version(BuilderVersion::BuilderV1)
        .build();
    let archive = archive(context).map_err(ImageError::Scratch)?;
    let mut answers = Box::pin(docker.build_image(options, None, Some(body_full(archive.into()))));
    let mut tail = VecDeque::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(info) => {
                for line in info.stream.unwrap_or_default().lines().filter_map(readable) {
                    progress(line.as_str());
                    if tail.len() == TAIL {
                        tail.pop_front();
                    }
                    tail.push_back(line.to_string());
                }
            }
            Err(error) => {
                let log = Vec::from(std::mem::take(&mut tail)).join("\n");
                return Err(match (EngineError::new("the build failed", &error), &error) {
                    (EngineError::Refused { message, .. }, ApiError::DockerStreamError { .. }) => {
                        ImageError::Build { image: image.to_string(), log: format!("{log}\n{message}") }
                    }
                    (refusal, _) => refusal.into(),
                });
            }
        }
    }
    Ok(())
}

/// A line of a build's log as a person wants it: without the builder's colours, and of a counter
/// only its end.
fn readable(line: &str) -> Option<WireText> {
    let plain = line.replace("\x1b[91m", "").replace("\x1b[0m", "");
    let last = plain.trim_end().rsplit('\r').next().unwrap_or_default();
    let is_counter = last.starts_with("(Reading database") && !last.ends_with("installed.)");
    (!last.trim().is_empty() && !is_counter).then(|| last.into())
}

/// A build context. No times in it, so the builder's cache finds it again.
fn archive(context: &[(&str, &str)]) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in context {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_bytes())?;
    }
    builder.into_inner()
}

async fn report(docker: &Docker, image: &ImageName, took: Option<Duration>) -> Result<Built, EngineError> {
    Ok(Built { image: image.to_string(), size: size(docker, image).await?.unwrap_or_default(), took })
}

async fn size(docker: &Docker, image: &ImageName) -> Result<Option<u64>, EngineError> {
    match docker.inspect_image(&image.to_string()).await {
        Ok(found) => Ok(Some(found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default())),
        Err(error) if engine::is_not_found(&error) => Ok(None),
        Err(error) => Err(EngineError::new("cannot look for an image", &error)),
    }
}

/// What the options name. The mirror becomes part of a command line and of a sources list.
fn selected(options: &ImageOptions) -> Result<Vec<Recipe>, ImageError> {
    if let Some(mirror) = options.mirror.as_deref().filter(|mirror| !is_url(mirror)) {
        return Err(ImageError::Mirror(mirror.into()));
    }
    if options.kinds.is_empty() {
        return Ok(recipes().collect());
    }
    let find = |kind: &String| {
        let found = mta::find(kind).map(Recipe::of).or_else(|| recipes().find(|recipe| recipe.kind == *kind));
        found.ok_or_else(|| ImageError::Kind {
            kind: kind.as_str().into(),
            known: recipes().map(|recipe| recipe.kind).collect::<Vec<_>>().join(", "),
        })
    };
    options.kinds.iter().map(find).collect()
}

fn is_url(text: &str) -> bool {
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    is_web && text.chars().all(|c| c.is_ascii_graphic())
}

/// Held until dropped. Without it nothing breaks, an image is just made twice.
fn lock() -> Option<File> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let file = File::options().create(true).append(true).open(folder.join("mtalab-images.lock")).ok()?;
    file.lock().ok()?;
    Some(file)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ImageError::Scratch(io::Error::other(error)))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Enough of a hash for a tag.
fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_tag_follows_the_release_and_the_recipe() {
        let postfix = mta::find("postfix").unwrap();
        assert_eq!(of_mta(postfix, Release::Bookworm), of_mta(postfix, Release::Bookworm));
        assert_ne!(of_mta(postfix, Release::Bookworm).tag, of_mta(postfix, Release::Trixie).tag);
        assert_ne!(named("x", Release::Bookworm, &["a", "b"]), named("x", Release::Bookworm, &["ab", ""]));
        assert!(base_image(Release::Bookworm).tag.starts_with("bookworm-"));
    }

    #[rstest]
    #[case(Some("mirror.example/debian"), &[], false)]
    #[case(Some("http://mirror.example/ sid main\ndeb"), &[], false)]
    #[case(Some("http://mirror.example/debian"), &["exim"], true)]
    #[case(None, &["exim", "qmail"], false)]
    fn only_mirrors_and_kinds_that_are_some_are_taken(
        #[case] mirror: Option<&str>,
        #[case] kinds: &[&str],
        #[case] is_taken: bool,
    ) {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let options = ImageOptions { mirror: mirror.map(str::to_owned), kinds, ..ImageOptions::default() };
        assert_eq!(selected(&options).is_ok(), is_taken);
    }

    #[rstest]
    #[case("\x1b[91mE: no such package\x1b[0m", Some("E: no such package"))]
    #[case("\x1b[0m", None)]
    #[case("(Reading database ... 5%\r", None)]
    #[case(
        "(Reading database ... 95%\r(Reading database ... 9 files installed.)",
        Some("(Reading database ... 9 files installed.)")
    )]
    #[case("\x1b[2Jx", Some(r"\x1b[2Jx"))]
    fn a_build_log_is_made_readable(#[case] line: &str, #[case] shown: Option<&str>) {
        assert_eq!(readable(line).as_ref().map(WireText::as_str), shown);
    }

    #[test]
    fn a_context_is_the_same_bytes_every_time() {
        let context = [("Dockerfile", "FROM scratch\n")];
        assert_eq!(archive(&context).unwrap(), archive(&context).unwrap());
    }
}
