//! Money: what calls may cost, what is set aside for one before it is sent, and what it came to.
//!
//! An amount is reserved before the request leaves – the most that it can cost – and settled when Tavily has said what
//! it did cost. A call that ends in between, by a crash or because nobody waits any more, keeps its reservation: it may
//! have been billed. Knows nothing of single tools; what they cost is theirs to know.

mod amount;
mod journal;
mod ledger;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use toolgate_plugin::{HostHandle, LogLevel};

pub(crate) use self::{
    amount::Credits,
    journal::{make_folder, sync_folder},
};
use self::{
    journal::{Op, Reply, Trouble},
    ledger::Ledger,
};
use crate::settings::Ceilings;

/// The ceilings, and what was used of those that last a day.
pub(crate) struct Budget {
    per_call: Credits,
    per_day: [Option<Credits>; 2],
    /// Kept only where a ceiling lasts a day.
    ledger: Option<Arc<Ledger>>,
    /// Whether the journal could not be used last time.
    broken: AtomicBool,
    host: HostHandle,
}

/// A ceiling: on what one call may cost, on what a caller's calls of a day may cost, on what all calls of a day may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ceiling {
    // On what one call may cost.
    Call,
    // On what a caller's calls of a day may cost.
    Subject,
    // On what all calls of a day may cost.
    Day,
}

/// Why an amount is not there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// It would go over a ceiling.
    Over { ceiling: Ceiling, most: Credits, used: Credits },
    /// Nobody can tell: the journal cannot be used.
    Unknown,
}

/// An amount that is set aside. Dropped before anything was sent, it is given back; later it stays, unless settled.
#[derive(Debug)]
pub(crate) struct Grant {
    hold: Option<(Arc<Ledger>, Hold)>,
    sent: bool,
}

/// A reservation that is settled later, perhaps by another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    id: String,
    /// Such as 2026-11-22.
    day: String,
}

/// How much is used today.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) subject: Credits,
    pub(crate) all: Credits,
}

impl Budget {
    /// With these ceilings; the journal goes below `folder`. Does no I/O.
    pub(crate) fn new(ceilings: Ceilings, folder: &Path, host: HostHandle) -> Self {
        let per_day = [ceilings.per_subject_per_day, ceilings.per_day].map(|most| most.map(Credits::whole));
        let lasts = per_day.iter().any(Option::is_some);
        Self {
            per_call: Credits::whole(ceilings.per_call),
            per_day,
            ledger: lasts.then(|| Ledger::new(folder.join("credits"))),
            broken: AtomicBool::new(false),
            host,
        }
    }

    /// The most that one call may cost.
    pub(crate) fn per_call(&self) -> Credits {
        self.per_call
    }

    /// The ceilings of a day: of each caller, and of all.
    pub(crate) fn per_day(&self) -> [Option<Credits>; 2] {
        self.per_day
    }

    /// Set aside the most that a call can cost.
    pub(crate) async fn reserve(&self, subject: &str, amount: Credits) -> Result<Grant, Refusal> {
        if amount > self.per_call {
            return Err(Refusal::Over { ceiling: Ceiling::Call, most: self.per_call, used: Credits::default() });
        }
        let Some(ledger) = &self.ledger else { return Ok(Grant { hold: None, sent: false }) };
        let id = format!("{:016x}", rand::random::<u64>());
        let op = Op::Reserve { id: id.clone(), subject: subject.to_owned(), amount, ceilings: self.per_day };
        // From here on the id is taken, whoever waits; dropped, the grant gives the amount back.
        let day = OffsetDateTime::now_utc().date().to_string();
        let mut grant = Grant { hold: Some((Arc::clone(ledger), Hold { id, day })), sent: false };
        let refusal = match self.told(ledger.ask(op).await) {
            Ok((_, Reply::Over { ceiling, most, used })) => Refusal::Over { ceiling, most, used },
            Ok((day, _)) => {
                if let Some((_, hold)) = &mut grant.hold {
                    hold.day = day;
                }
                return Ok(grant);
            }
            Err(refusal) => refusal,
        };
        grant.hold = None;
        Err(refusal)
    }

    /// What is used today; nothing where no ceiling lasts a day.
    pub(crate) async fn standing(&self, subject: &str) -> Result<Option<Standing>, Refusal> {
        let Some(ledger) = &self.ledger else { return Ok(None) };
        match self.told(ledger.ask(Op::Look { subject: subject.to_owned() }).await)? {
            (_, Reply::Used { subject, all }) => Ok(Some(Standing { subject, all })),
            _ => Err(Refusal::Unknown),
        }
    }

    /// Settle what was reserved by another call.
    pub(crate) fn settle(&self, hold: Hold, amount: Credits) {
        if let Some(ledger) = &self.ledger {
            ledger.tell(hold.day, Op::Settle { id: hold.id, amount });
        }
    }

    /// Whether the journal could be used last time.
    pub(crate) fn is_sound(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    /// Write what waits to be written.
    pub(crate) async fn shutdown(&self) {
        if let Some(ledger) = self.ledger.clone() {
            // What it fails to write is counted in full.
            let _ = tokio::task::spawn_blocking(move || ledger.work()).await;
        }
    }

    /// A journal that cannot be used concerns the operator, who is told once until it can be.
    fn told<T>(&self, answer: Result<T, Trouble>) -> Result<T, Refusal> {
        let broken = answer.is_err();
        if self.broken.swap(broken, Ordering::Relaxed) != broken
            && let Err(trouble) = &answer
        {
            let message =
                format!("calls that cost credits are refused, since what they have cost is unknown: {trouble}");
            self.host.log(LogLevel::Error, message);
        }
        answer.map_err(|_| Refusal::Unknown)
    }
}

impl Grant {
    /// The request leaves now.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// What the call came to.
    pub(crate) fn settle(mut self, amount: Credits) {
        if let Some((ledger, Hold { id, day })) = self.hold.take() {
            ledger.tell(day, Op::Settle { id, amount });
        }
    }

    /// Keep it for a later call, or another process, to settle.
    pub(crate) fn into_hold(mut self) -> Option<Hold> {
        self.hold.take().map(|(_, hold)| hold)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some((ledger, Hold { id, day })) = self.hold.take().filter(|_| !self.sent) {
            ledger.tell(day, Op::Settle { id, amount: Credits::default() });
        }
    }
}

/// Seconds until the day ends and its ceilings begin anew.
pub(crate) fn until_midnight() -> u64 {
    let now = OffsetDateTime::now_utc();
    let passed = u64::from(now.hour()) * 3600 + u64::from(now.minute()) * 60 + u64::from(now.second());
    86_400 - passed
}
