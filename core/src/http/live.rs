//! The app that answers now. A request is answered by the one that it met.

use std::sync::Arc;

use arc_swap::ArcSwap;
use poem::{Endpoint, Request, Response};

use super::{app::App, state::State};

/// The app, swapped whole.
pub(super) struct Live(ArcSwap<App>);

impl Live {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self(ArcSwap::from_pointee(App::new(state)))
    }

    /// What the app of this moment stands on.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(self.0.load().state())
    }

    /// Answer with this app from now on.
    pub(super) fn swap(&self, app: App) {
        self.0.store(Arc::new(app));
    }
}

impl Endpoint for Live {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let app = self.0.load_full();
        app.call(request).await
    }
}
