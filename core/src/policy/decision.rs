//! The decision: a [`Permit`] or a [`Refusal`], each with its audit record.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    principal::Principal,
    rules::{Policy, ToolPolicy},
};
use crate::{
    config::OnMissingScope,
    telemetry::audit::{self, Record, RecordedPrincipal, Slot},
};

/// Through which face a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The MCP endpoint.
    Mcp,
    /// `POST /api/tools/{endpoint}/{tool}`.
    Rest,
    /// `toolgate call`.
    Cli,
}

impl Face {
    /// As the audit trail writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Rest => "rest",
            Self::Cli => "cli",
        }
    }
}

/// A call as the policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Through which face it comes.
    pub face: Face,
    /// The request's id.
    pub request_id: &'a Arc<str>,
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// The tool, as the endpoint names it.
    pub tool: &'a str,
    /// The arguments, for the audit record alone; `None` unless `audit.arguments` asks for them.
    pub arguments: Option<&'a Map<String, Value>>,
}

/// Leave to call one tool once. Only the policy makes one. Ends in an audit record, however it ends.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    tool: Arc<ToolPolicy>,
    principal: Arc<Principal>,
    since: Instant,
    open: Option<(Slot, Record)>,
    /// A plugin that is being replaced serves on as long as there is one of these.
    _held: TaskTrackerToken,
}

impl Permit {
    /// The tool that may be called.
    pub fn tool(&self) -> &Arc<ToolPolicy> {
        &self.tool
    }

    /// Who may call it.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Put the arguments on the audit record; for a face that reads them after the decision.
    pub fn record_arguments(&mut self, arguments: &Map<String, Value>) {
        if let Some((_, record)) = &mut self.open {
            record.arguments = Some(arguments.clone());
        }
    }

    /// The call is over.
    pub fn finish(mut self, ending: Ending) {
        self.close(ending);
    }

    fn close(&mut self, ending: Ending) {
        if let Some((slot, mut record)) = self.open.take() {
            record.outcome = Some(ending.as_str());
            record.duration_ms = Some(milliseconds(self.since.elapsed()));
            slot.fill(record);
        }
    }
}

/// A permit that nobody finished belongs to a call whose caller went away.
impl Drop for Permit {
    fn drop(&mut self) {
        self.close(Ending::Cancelled);
    }
}

/// A tool's name as a caller gave it: as much of it as a name may be long.
fn named(tool: &str) -> Arc<str> {
    const LONGEST: usize = 128;
    match tool.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &tool[..end]).into(),
        None => tool.into(),
    }
}

fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// How a permitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a result.
    Ok,
    /// With a result that says `isError`.
    Error,
    /// The arguments did not fit the tool's schema.
    InvalidArguments,
    /// The plugin took longer than it may.
    Timeout,
    /// The plugin had too many calls running and waiting.
    Busy,
    /// The result was larger than it may be.
    TooLarge,
    /// The caller went away.
    Cancelled,
    /// The plugin panicked.
    Panic,
    /// The message was refused for another reason after the policy had let it through.
    Rejected,
}

impl Ending {
    /// As the audit trail writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::InvalidArguments => "invalid_arguments",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Rejected => "rejected",
        }
    }
}

/// No leave, and why.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The tool as the caller named it.
    pub tool: Arc<str>,
    /// Why.
    pub reason: Reason,
}

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The endpoint offers no such tool to this caller.
    UnknownTool,
    /// The token lacks scopes.
    InsufficientScope {
        /// All that the tool needs.
        required: Arc<[Arc<str>]>,
    },
    /// Called too often.
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
}

impl Policy {
    /// Decide. The record of a refusal is written here; that of a permit when it ends.
    ///
    /// # Errors
    /// The refusal, with its reason.
    pub fn decide(&self, principal: &Arc<Principal>, request: Request<'_>, slot: Slot) -> Result<Permit, Refusal> {
        let mut record = Record {
            time: audit::now(),
            request_id: Arc::clone(request.request_id),
            principal: Some(RecordedPrincipal {
                provider: Arc::clone(&principal.id().provider),
                subject: Arc::clone(&principal.id().subject),
            }),
            organisation: principal.organisation().cloned(),
            token_id: principal.token_id().cloned(),
            client_id: principal.id().client_id.clone(),
            face: request.face.as_str(),
            endpoint: request.endpoint.into(),
            tool: Some(named(request.tool)),
            arguments: request.arguments.cloned(),
            ..Record::default()
        };
        match self.judge(principal, request, &mut record.missing_scopes) {
            Ok(tool) => {
                record.decision = "permit";
                let principal = Arc::clone(principal);
                let (tool, held) = (Arc::clone(tool), tool.hold());
                Ok(Permit { tool, principal, since: Instant::now(), open: Some((slot, record)), _held: held })
            }
            Err(reason) => {
                record.decision = "refuse";
                record.reason = Some(match &reason {
                    // The trail tells the operator what the caller is not told.
                    Reason::UnknownTool if !record.missing_scopes.is_empty() => "hidden",
                    Reason::UnknownTool => "unknown_tool",
                    Reason::InsufficientScope { .. } => "insufficient_scope",
                    Reason::RateLimited { .. } => "rate_limited",
                });
                slot.fill(record);
                Err(Refusal { tool: named(request.tool), reason })
            }
        }
    }

    fn judge(
        &self,
        principal: &Principal,
        request: Request<'_>,
        missing: &mut Vec<Arc<str>>,
    ) -> Result<&Arc<ToolPolicy>, Reason> {
        let endpoint = self.endpoint(request.endpoint).ok_or(Reason::UnknownTool)?;
        let tool = endpoint.tools.get(request.tool).ok_or(Reason::UnknownTool)?;
        if !tool.permits(principal) {
            *missing = tool.requirement.missing_from(principal.scopes());
            return Err(match endpoint.on_missing_scope {
                OnMissingScope::Hide => Reason::UnknownTool,
                OnMissingScope::Challenge => {
                    Reason::InsufficientScope { required: Arc::clone(tool.requirement.scopes()) }
                }
            });
        }
        tool.count(principal.id()).map_err(|retry_after| Reason::RateLimited { retry_after })?;
        Ok(tool)
    }
}
