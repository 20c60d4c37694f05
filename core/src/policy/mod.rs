//! May they? Scopes and what they imply (`scopes`), the rule of each tool (`rules`, made by `compile`), and the decision
//! (`decision`), a value with its reason.
//!
//! Pure data: no I/O, no HTTP, no plugin. Rate limits are counted here since they are part of the decision,
//! but nothing is waited for. Only this module makes a [`Permit`], and the host takes nothing without one.

mod compile;
mod decision;
mod principal;
mod rate;
mod rules;
mod scopes;

pub use decision::{Ending, Face, Permit, Reason, Refusal, Request};
pub use principal::{Principal, PrincipalId};
pub use rules::{Consequence, EndpointPolicy, Finding, Misfits, PluginTools, Policy, ToolPolicy};
pub use scopes::{Implications, Requirement, ScopeCycle};
