//! Reminders as metrics (OpenMetrics 1.0), for the textfile collector of a node exporter.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::Reminders;

/// The metrics as text.
pub fn openmetrics(reminders: &Reminders) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(reminders.clone())));
    let mut out = String::new();
    // A text takes whatever is written into it.
    let _ = text::encode(&mut out, &registry);
    out
}

#[derive(Debug)]
struct Metrics(Reminders);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let reminders = &self.0;
        gauge(
            &mut encoder,
            "mtalab_reminders_made_timestamp",
            "When this was looked at",
            Some(&Unit::Seconds),
            &[(vec![], reminders.judged_at.unix_timestamp())],
        )?;
        let ends: Vec<_> = reminders
            .certificates
            .iter()
            .map(|reminder| {
                let labels = vec![
                    ("watched", reminder.watched.to_string()),
                    ("role", reminder.role.name().to_owned()),
                    ("certificate", reminder.certificate.to_string()),
                    ("uid", reminder.uid.clone()),
                ];
                (labels, reminder.at.unix_timestamp())
            })
            .collect();
        gauge(
            &mut encoder,
            "mtalab_certificate_end_timestamp",
            "The last second in which the certificate is valid",
            Some(&Unit::Seconds),
            &ends,
        )?;
        let rollovers: Vec<_> = counted(
            reminders
                .rollovers
                .iter()
                .map(|rollover| vec![("host", rollover.host.to_string()), ("kind", rollover.kind.name().to_owned())]),
        );
        gauge(&mut encoder, "mtalab_tlsa_rollovers", "TLSA records and renewals that do not fit, or not yet", None, &rollovers)?;
        let unknown = i64::try_from(reminders.unknown.len()).unwrap_or(i64::MAX);
        gauge(
            &mut encoder,
            "mtalab_reminders_unknown",
            "How much was to be looked at and could not be seen",
            None,
            &[(vec![], unknown)],
        )
    }
}

type Labels = Vec<(&'static str, String)>;

/// How often each set of labels stands there: a series may stand there once only.
fn counted(all: impl Iterator<Item = Labels>) -> Vec<(Labels, i64)> {
    let mut counted: Vec<(Labels, i64)> = Vec::new();
    for labels in all {
        match counted.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, count)) => *count += 1,
            None => counted.push((labels, 1)),
        }
    }
    counted
}

fn gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: &[(Labels, i64)],
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        let gauge = ConstGauge::new(*value);
        if labels.is_empty() {
            gauge.encode(metric)?;
            return Ok(());
        }
        gauge.encode(metric.encode_family(labels)?)?;
    }
    Ok(())
}
