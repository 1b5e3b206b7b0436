//! `mtalab images`: what the Docker backend starts containers from.

use std::process::ExitCode;

use super::{ImagesCommand, exit, exit::Failure, inside, out};
use crate::lab::docker::{ImageError, ImageOptions, build, status};

pub(super) async fn run(command: ImagesCommand) -> Result<ExitCode, Failure> {
    match command {
        ImagesCommand::Build { kinds, release, mirror } => {
            let options = ImageOptions { release, kinds, mirror };
            // Dropped half-way, it takes its child process and its temporary files with it.
            let built = tokio::select! {
                built = build(&options, |line| out::note(&format!("  {line}"))) => built.map_err(failure)?,
                () = inside::ended() => return Err(Failure::environment("interrupted: what was built so far stays, the rest is built next time")),
            };
            for image in built {
                let took = image.took.map_or_else(|| "there already".to_owned(), |took| format!("built in {} s", took.as_secs()));
                out::print(&format!("{}  {} MB, {took}", image.image, image.size / 1_000_000));
            }
        }
        ImagesCommand::List { release } => {
            for image in status(release).await.map_err(failure)? {
                let size = image.size.map_or_else(|| "not built".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
                out::print(&format!("{}  {size}", image.image));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn failure(error: ImageError) -> Failure {
    let text = exit::chain(&error);
    match error {
        ImageError::Kind { .. } | ImageError::Mirror(_) => Failure::usage(text),
        _ => Failure::environment(text),
    }
}
