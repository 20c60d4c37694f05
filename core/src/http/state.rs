//! What the routes stand on, for one configuration. Made whole at the start and at each reload (`standing`).

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{document::Documents, readiness::Checkup};
use crate::{config::Config, devauth::DevAuth, gate::Gate, host::Current, mcp, telemetry::audit::Audit};

/// What the routes stand on.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) registry: Current,
    pub(super) gate: Gate,
    pub(super) audit: Audit,
    pub(super) endpoints: HashMap<String, Mounted>,
    pub(super) dev: Option<Arc<DevAuth>>,
    pub(super) documents: Arc<Documents>,
    pub(super) checkup: Checkup,
}

/// An MCP endpoint in its place.
#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) endpoint: Arc<mcp::Endpoint>,
    /// Ends its sessions and streams.
    pub(super) stop: CancellationToken,
}
