//! Nothing is left behind: what carries the labels of a run is removed at its end, what belongs to
//! dead processes at the start of the next one, what `up` keeps when it is told to.

use std::{collections::HashMap, time::Duration};

use testcontainers::bollard::{
    Docker,
    models::VolumeCreateRequest,
    query_parameters::{
        ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveVolumeOptions,
    },
};
use tokio::time::Instant;

use super::{
    DockerError,
    engine::{self, EngineError, labelled},
};
use crate::lab::owner::Owner;

/// The label with the run that something belongs to.
pub(super) const LABEL_RUN: &str = "mtalab.run";
/// The label with the process that the run belongs to.
pub(super) const LABEL_OWNER: &str = "mtalab.owner";
/// The label of what outlives its process, with the name that it is kept under.
pub(super) const LABEL_KEPT: &str = "mtalab.kept";

/// How long the engine may take to show what it was asked for before the asking was cancelled.
const SETTLING: Duration = Duration::from_millis(1500);

/// The names of the kept runs that still have a container.
pub async fn list_kept() -> Result<Vec<String>, DockerError> {
    let docker = engine::connect().await?;
    let found = containers(&docker, LABEL_KEPT).await?;
    let mut names: Vec<_> = found.into_iter().filter_map(|mut container| container.labels.remove(LABEL_KEPT)).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Removes a run that was kept; tells whether there was one.
pub async fn remove_kept(name: &str) -> Result<bool, DockerError> {
    let docker = engine::connect().await?;
    let was_there = remove_labelled(&docker, &format!("{LABEL_KEPT}={name}")).await?;
    let removed = docker.remove_volume(&marker(name), None::<RemoveVolumeOptions>).await;
    gone(removed, "cannot remove the mark of a kept lab")?;
    Ok(was_there)
}

/// Marks a run as kept for good. What carries the label and has no mark was being started when its process died.
pub(super) async fn mark_kept(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let labels = HashMap::from([(LABEL_KEPT.to_owned(), name.to_owned())]);
    let volume = VolumeCreateRequest { name: Some(marker(name)), labels: Some(labels), ..Default::default() };
    let made = docker.create_volume(volume).await;
    made.map(|_| ()).map_err(|error| EngineError::new("cannot mark the lab as kept", &error))
}

/// An empty volume: it outlives its process, and labels can be put on it at any time.
fn marker(name: &str) -> String {
    format!("mtalab-kept-{name}")
}

async fn marked(docker: &Docker) -> Result<Vec<String>, EngineError> {
    let options = ListVolumesOptionsBuilder::new().filters(&labelled(LABEL_KEPT)).build();
    let found = docker.list_volumes(Some(options)).await;
    let found = found.map_err(|error| EngineError::new("cannot list volumes", &error))?;
    Ok(found.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
}

/// Removes what belongs to dead processes and is not kept.
pub(super) async fn sweep(docker: &Docker, me: &Owner) -> Result<(), EngineError> {
    let marked = marked(docker).await?;
    let is_left_over = |labels: &HashMap<String, String>| {
        let owner = labels.get(LABEL_OWNER).and_then(|label| Owner::parse(label));
        let is_kept = labels.get(LABEL_KEPT).is_some_and(|name| marked.contains(&marker(name)));
        !is_kept && owner.is_some_and(|owner| owner.is_dead(me))
    };
    let mut runs: Vec<String> = Vec::new();
    let found = containers(docker, LABEL_OWNER).await?.into_iter().map(|container| container.labels);
    let found = found.chain(networks(docker, LABEL_OWNER).await?.into_iter().map(|(labels, _)| labels));
    runs.extend(found.filter(is_left_over).filter_map(|mut labels| labels.remove(LABEL_RUN)));
    runs.sort();
    runs.dedup();
    for run in runs {
        // Another run may be sweeping the same.
        let _ = remove_run(docker, &run, false).await;
    }
    Ok(())
}

/// Removes a run. Where a start was cancelled the engine goes on with what it was asked for, so the
/// container may appear only after the first look, and it is looked again until all is quiet.
pub(super) async fn remove_run(docker: &Docker, run: &str, is_cancelled: bool) -> Result<(), EngineError> {
    let label = format!("{LABEL_RUN}={run}");
    if !is_cancelled {
        return remove_labelled(docker, &label).await.map(|_| ());
    }
    let end = Instant::now() + SETTLING * 10;
    let mut quiet_since = Instant::now();
    loop {
        let outcome = remove_labelled(docker, &label).await;
        match &outcome {
            Ok(false) if quiet_since.elapsed() >= SETTLING => return Ok(()),
            Ok(false) => {}
            // What is being created cannot be removed yet.
            Ok(true) | Err(_) => quiet_since = Instant::now(),
        }
        if Instant::now() >= end {
            return outcome.map(|_| ());
        }
        tokio::time::sleep(SETTLING / 10).await;
    }
}

/// Removes the containers with a label, then the networks; tells whether there were any.
async fn remove_labelled(docker: &Docker, label: &str) -> Result<bool, EngineError> {
    let containers = containers(docker, label).await?;
    let removals = containers.iter().map(|container| async {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        gone(docker.remove_container(&container.id, Some(options)).await, "cannot remove a container")
    });
    let mut outcome: Result<(), EngineError> = futures::future::join_all(removals).await.into_iter().collect();
    let networks = networks(docker, label).await?;
    for (_, id) in &networks {
        outcome = outcome.and(gone(docker.remove_network(id).await, "cannot remove a network"));
    }
    outcome.map(|()| !(containers.is_empty() && networks.is_empty()))
}

/// What is not there, or is being removed by somebody else, is removed.
fn gone(answer: Result<(), testcontainers::bollard::errors::Error>, what: &'static str) -> Result<(), EngineError> {
    match answer {
        Err(error) if engine::is_not_found(&error) || error.to_string().contains("already in progress") => Ok(()),
        Err(error) => Err(EngineError::new(what, &error)),
        Ok(()) => Ok(()),
    }
}

struct Found {
    id: String,
    labels: HashMap<String, String>,
}

async fn containers(docker: &Docker, label: &str) -> Result<Vec<Found>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(&labelled(label)).build();
    let found = docker.list_containers(Some(options)).await;
    let found = found.map_err(|error| EngineError::new("cannot list containers", &error))?;
    Ok(found
        .into_iter()
        .map(|container| Found { id: container.id.unwrap_or_default(), labels: container.labels.unwrap_or_default() })
        .collect())
}

async fn networks(docker: &Docker, label: &str) -> Result<Vec<(HashMap<String, String>, String)>, EngineError> {
    let options = ListNetworksOptionsBuilder::new().filters(&labelled(label)).build();
    let found = docker.list_networks(Some(options)).await;
    let found = found.map_err(|error| EngineError::new("cannot list networks", &error))?;
    Ok(found.into_iter().map(|network| (network.labels.unwrap_or_default(), network.id.unwrap_or_default())).collect())
}
