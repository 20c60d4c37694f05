//! How the configuration's file stands to what serves: told by whoever reloads, shown by `/readyz`.

use arc_swap::ArcSwap;

use super::discreet;
use crate::config::{Diagnostic, Severity};

/// What would come of the file as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It is what serves.
    #[default]
    Current,
    /// It would not be served, for this reason; what served before serves on.
    Refused(String),
    /// It serves but for some keys, which wait for the next start.
    Waits(String),
}

/// The prospect of this moment, shared by all configurations of a server.
#[derive(Debug, Default)]
pub(super) struct Outlook(ArcSwap<Prospect>);

impl Outlook {
    /// As it is now.
    pub(super) fn now(&self) -> Prospect {
        Prospect::clone(&self.0.load())
    }

    /// It is so from now on.
    pub(super) fn set(&self, prospect: Prospect) {
        self.0.store(prospect.into());
    }
}

impl Prospect {
    /// Refused for what was found first. Nothing where nothing was found.
    pub(super) fn refused(wrong: &[Diagnostic]) -> Option<Self> {
        let first = wrong.iter().find(|finding| finding.severity == Severity::Error).or(wrong.first())?;
        let mut told = first.clone();
        // Anybody may ask, and where the server keeps its files is none of their business.
        told.file = told.file.file_name().map(Into::into).unwrap_or_default();
        told.message = discreet::finding(&told.key, &told.message);
        told.help = told.help.map(|help| discreet::finding(&told.key, &help));
        let told = told.to_string();
        let told = told.split_once(": ").map_or(told.as_str(), |(_severity, rest)| rest);
        let others = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more; see the log)"),
        };
        Some(Self::Refused(format!("{told}{others}")))
    }

    /// Served, but for the keys of these findings.
    pub(super) fn but_for(held: &[Diagnostic]) -> Self {
        let keys: Vec<&str> = held.iter().map(|finding| finding.key.as_str()).collect();
        match keys.as_slice() {
            [] => Self::Current,
            [key] => Self::Waits(format!("{key} takes effect at the next start")),
            keys => Self::Waits(format!("{} take effect at the next start", keys.join(", "))),
        }
    }
}
