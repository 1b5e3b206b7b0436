//! Facts of one target that were gathered on several machines, joined.

use super::{Facts, Target};

/// The most views that a target may have after a merge.
pub const MAX_VIEWS: usize = 256;

/// Why facts cannot be joined. The one who chose the reports is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to join.
    #[error("no report to merge; name at least one")]
    Nothing,
    /// The reports are about different servers.
    #[error("the reports are about different targets: {} port {} and {} port {}; merge joins views of one target",
        first.name, first.port, other.name, other.port)]
    DifferentTargets {
        /// The target of the first report.
        first: Target,
        /// The first target that differs from it.
        other: Target,
    },
    /// More views than [`MAX_VIEWS`].
    #[error("the reports hold more than {MAX_VIEWS} different views; merge fewer of them")]
    TooManyViews,
}

/// Joins facts of the same target (name and port) into one with all views, in the order
/// given. A view that is there already is dropped: the same report given twice counts once.
pub fn merge(parts: Vec<Facts>) -> Result<Facts, MergeError> {
    let mut parts = parts.into_iter();
    let mut merged = parts.next().ok_or(MergeError::Nothing)?;
    let views = std::mem::take(&mut merged.views);
    take_views(&mut merged, views)?;
    for part in parts {
        if part.target != merged.target {
            return Err(MergeError::DifferentTargets { first: merged.target, other: part.target });
        }
        take_views(&mut merged, part.views)?;
        take(&mut merged.pointers, part.pointers);
        take(&mut merged.told_to_fetch, part.told_to_fetch);
        take(&mut merged.fetched, part.fetched);
        take(&mut merged.installed, part.installed);
    }
    Ok(merged)
}

/// What is not there yet, as far as there is room.
fn take<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !all.contains(&item) && all.len() < MAX_VIEWS {
            all.push(item);
        }
    }
}

fn take_views(merged: &mut Facts, views: Vec<super::View>) -> Result<(), MergeError> {
    for view in views {
        if merged.views.contains(&view) {
            continue;
        }
        if merged.views.len() == MAX_VIEWS {
            return Err(MergeError::TooManyViews);
        }
        merged.views.push(view);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Beginnings, Session, Vantage, View},
        name::Name,
        wire::WireText,
    };

    fn view(label: &str) -> View {
        View {
            earlier: Vec::new(),
            beginnings: Beginnings::default(),
            offers: View::no_offers(),
            mail_in_clear: View::no_mail(),
            injection: View::no_injection(),
            transaction: View::no_transaction(),
            vantage: Vantage { label: Some(WireText::from(label)), source: None, ehlo: None },
            address: "192.0.2.10:25".parse().unwrap(),
            connections: 1,
            session: Session::not_attempted("a test"),
        }
    }

    fn facts(port: u16, labels: &[&str]) -> Facts {
        let target = Target { name: Name::parse("mx.example.test").unwrap(), port };
        Facts::new(target, labels.iter().map(|label| view(label)).collect())
    }

    #[test]
    fn views_of_several_machines_become_one() {
        let merged = merge(vec![facts(25, &["home"]), facts(25, &["partner", "office"])]).unwrap();
        assert_eq!(merged, facts(25, &["home", "partner", "office"]));
    }

    #[test]
    fn a_view_given_twice_counts_once() {
        assert_eq!(merge(vec![facts(25, &["home"]), facts(25, &["home", "office"])]).unwrap(), facts(25, &["home", "office"]));
    }

    #[test]
    fn what_the_same_place_saw_at_another_time_is_kept() {
        let mut later = facts(25, &["home"]);
        later.views[0].connections = 3;
        assert_eq!(merge(vec![facts(25, &["home"]), later]).unwrap().views.len(), 2);
    }

    #[test]
    fn different_targets_are_named() {
        let error = merge(vec![facts(25, &["home"]), facts(587, &["home"])]).unwrap_err();
        let text = "the reports are about different targets: mx.example.test port 25 and mx.example.test port 587; \
                    merge joins views of one target";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_number_of_views_is_bounded() {
        let many = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
        let part = |labels: &[String]| facts(25, &labels.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(merge(vec![part(&many(MAX_VIEWS))]).unwrap().views.len(), MAX_VIEWS);
        assert_eq!(merge(vec![part(&many(MAX_VIEWS + 1))]), Err(MergeError::TooManyViews));
        assert_eq!(merge(Vec::new()), Err(MergeError::Nothing));
    }
}
