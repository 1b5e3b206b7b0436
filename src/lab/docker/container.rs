//! One container: testcontainers starts and removes it; what it lacks is asked of the engine.

use std::{collections::HashMap, net::IpAddr};

use futures::StreamExt as _;
use testcontainers::{
    ContainerAsync, CopyDataSource, CopyTargetOptions, GenericImage, ImageExt as _,
    bollard::{
        Docker,
        container::LogOutput,
        exec::{CreateExecOptions, StartExecOptions, StartExecResults},
        query_parameters::{InspectContainerOptions, LogsOptionsBuilder},
    },
    runners::AsyncRunner as _,
};
use tokio::io::AsyncWriteExt as _;

use super::{
    DockerError,
    engine::{EngineError, LaunchError},
    image::ImageName,
};
use crate::wire::WireText;

/// How much of a log is shown.
const LOG_LINES: &str = "100";
const LOG_LIMIT: usize = 64 << 10;
/// How much a program in a container may write to standard output; to standard error it is less.
const STDOUT_LIMIT: usize = 16 << 20;
const STDERR_LIMIT: usize = 64 << 10;

/// A file that is copied into a container before it starts. It never is on this machine's disk.
#[derive(Clone)]
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// A started container, removed when dropped unless it is kept.
#[derive(Debug)]
pub(super) struct Container {
    docker: Docker,
    id: String,
    is_kept: bool,
    /// Present until it is removed.
    inner: Option<ContainerAsync<GenericImage>>,
}

impl Container {
    #[expect(clippy::too_many_arguments, reason = "one caller, which has them from four places")]
    pub(super) async fn start(
        docker: &Docker,
        image: &ImageName,
        name: &str,
        network: &str,
        labels: &HashMap<String, String>,
        command: &[String],
        files: Vec<File>,
        hosts: &[(String, IpAddr)],
        is_kept: bool,
    ) -> Result<Self, LaunchError> {
        let mut request = GenericImage::new(&image.repo, &image.tag)
            .with_container_name(name)
            .with_network(network)
            .with_labels(labels)
            // Nothing is published: the lab uses the container's own address.
            .with_host_config_modifier(|config| config.publish_all_ports = Some(false))
            .with_cmd(command);
        for (name, address) in hosts {
            request = request.with_host(name, testcontainers::core::Host::Addr(*address));
        }
        for File { path, mode, content } in files {
            // testcontainers gives the file no time, which is what Postfix needs: see lab/postfix/Dockerfile.
            request = request.with_copy_to(CopyTargetOptions::new(path).with_mode(mode), CopyDataSource::Data(content));
        }
        let inner = request.start().await?;
        Ok(Self { docker: docker.clone(), id: inner.id().to_owned(), is_kept, inner: Some(inner) })
    }

    /// Its address in the network that it was started in; nothing if it has ended.
    pub(super) async fn address(&self) -> Result<Option<IpAddr>, EngineError> {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let found = found.map_err(|error| EngineError::new("cannot look at a container", &error))?;
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(networks.into_values().find_map(|endpoint| endpoint.ip_address?.parse().ok()))
    }

    /// Its address over IPv6 in a network that has it.
    pub(super) async fn address6(&self) -> Result<Option<IpAddr>, EngineError> {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let found = found.map_err(|error| EngineError::new("cannot look at a container", &error))?;
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Ok(networks.into_values().find_map(|endpoint| endpoint.global_ipv6_address?.parse().ok()))
    }

    pub(super) async fn is_running(&self) -> bool {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        found.ok().and_then(|found| found.state?.running).unwrap_or(false)
    }

    /// The end of its log, escaped line by line; what cannot be read is left out.
    pub(super) async fn log(&self) -> String {
        self.log_of(LOG_LINES).await
    }

    /// Its log from the beginning, as far as it is read, likewise.
    pub(super) async fn whole_log(&self) -> String {
        self.log_of("all").await
    }

    async fn log_of(&self, lines: &str) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(lines).build();
        let mut chunks = self.docker.logs(&self.id, Some(options));
        let mut log = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            log.extend_from_slice(&chunk.into_bytes());
            if log.len() > LOG_LIMIT {
                log.truncate(LOG_LIMIT);
                break;
            }
        }
        escape(&log)
    }

    /// Runs a program in it to its end.
    pub(super) async fn exec(&self, command: &[String], stdin: Option<&[u8]>) -> Result<Vec<u8>, DockerError> {
        let program = command.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
        let failed = |error| EngineError::new("cannot run a program in a container", &error);
        let options = CreateExecOptions {
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        let exec = self.docker.create_exec(&self.id, options).await.map_err(failed)?;
        let started = self.docker.start_exec(&exec.id, None::<StartExecOptions>).await.map_err(failed)?;
        let StartExecResults::Attached { mut output, mut input } = started else {
            return Err(DockerError::Untold("the output of a program"));
        };
        // Both at once: a program that writes before it has read all would block, and so would we.
        let write = async {
            // A program that does not read to the end is judged by its exit code.
            let _ = input.write_all(stdin.unwrap_or_default()).await;
            let _ = input.shutdown().await;
        };
        let read = async {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            while let Some(chunk) = output.next().await {
                match chunk.map_err(failed)? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    LogOutput::StdOut { message } => stdout.extend_from_slice(&message),
                    LogOutput::StdIn { .. } | LogOutput::Console { .. } => {}
                }
                stderr.truncate(STDERR_LIMIT);
                if stdout.len() > STDOUT_LIMIT {
                    return Err(DockerError::TooMuch { program: program.clone(), limit: STDOUT_LIMIT });
                }
            }
            Ok((stdout, stderr))
        };
        let ((), read) = futures::join!(write, read);
        let (stdout, stderr) = read?;
        match self.docker.inspect_exec(&exec.id).await.map_err(failed)?.exit_code {
            Some(0) => Ok(stdout),
            code => Err(DockerError::Exec { program, code: code.unwrap_or(-1), stderr: escape(&stderr) }),
        }
    }

    /// Removes it, unless it is kept.
    pub(super) async fn remove(mut self) -> Result<(), EngineError> {
        match self.inner.take() {
            Some(inner) if self.is_kept => {
                std::mem::forget(inner);
                Ok(())
            }
            Some(inner) => match inner.rm().await.map_err(LaunchError::from) {
                Ok(()) => Ok(()),
                Err(LaunchError::Engine(error)) => Err(error),
                Err(LaunchError::NoImage) => Ok(()),
            },
            None => Ok(()),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // testcontainers removes it when dropped, and panics outside a runtime; there the labels
        // lead the run's cleanup to it.
        if let Some(inner) = self.inner.take()
            && (self.is_kept || tokio::runtime::Handle::try_current().is_err())
        {
            std::mem::forget(inner);
        }
    }
}

fn escape(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| WireText::from_bytes(line.trim_ascii_end()).to_string());
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
