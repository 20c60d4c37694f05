//! What the server stands on, put together from a configuration: at the start, and again beside the old at each reload.
//!
//! Sessions, keys and verdicts outlive a reload: endpoints and verifiers that stay what they are are taken over.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::{
    document::Documents,
    outlook::Outlook,
    providers::{DevOffer, Profiles, ProviderError, dev_auth, dev_issuer, dev_offer, profiles},
    readiness::Checkup,
    state::{Mounted, State},
};
use crate::{
    config::Config,
    devauth::DevAuth,
    gate::{Gate, ProtectedResource},
    host::Current,
    mcp,
    telemetry::audit::Audit,
    tokens::{ProviderClient, Verifier},
};

/// What outlives each configuration.
pub(super) struct Ground {
    pub(super) registry: Current,
    pub(super) audit: Audit,
    pub(super) client: Arc<ProviderClient>,
    /// The development authorization server, once it was needed.
    pub(super) dev: Option<Arc<DevAuth>>,
    /// Ends sessions and streams when the server stops.
    pub(super) stop: CancellationToken,
    /// How the file stands to what serves.
    pub(super) outlook: Arc<Outlook>,
}

impl Ground {
    /// Whether [`Ground::profiles`] can be made, without the development authorization server if there is none yet.
    ///
    /// # Errors
    /// Authorization servers that tokens cannot be checked with.
    pub(super) fn check(&self, config: &Config) -> Result<(), ProviderError> {
        profiles(config, self.dev.as_ref()).map(drop)
    }

    /// What tokens are checked with, by endpoint. The development authorization server is there from then on if it is
    /// needed: to be asked for when nothing else can fail.
    ///
    /// # Errors
    /// Authorization servers that tokens cannot be checked with; state of the development authorization server that
    /// cannot be used.
    pub(super) fn profiles(&mut self, config: &Config) -> Result<Profiles, ProviderError> {
        if self.dev.is_none() {
            self.dev = dev_auth(config)?;
        }
        profiles(config, self.dev.as_ref())
    }

    /// What the server stands on with this configuration, beside what it stands on now.
    pub(super) fn state(&self, config: Config, profiles: Profiles, before: Option<&State>) -> State {
        let offer = dev_offer(&config);
        let dev = self.dev.clone().filter(|_| offer.is_some());
        if let (Some(dev), Some(DevOffer { scopes, resources })) = (&dev, offer) {
            dev.offer(scopes, resources);
        }
        let public_url = config.public_url();
        let mut resources = IndexMap::new();
        let mut endpoints = HashMap::new();
        let mut verifiers = HashMap::new();
        for (name, profile) in profiles {
            let kept = before.and_then(|before| kept_verifier(before, &config, &name));
            let verifier = profile
                .map(|profile| kept.unwrap_or_else(|| Arc::new(Verifier::new(profile, Arc::clone(&self.client)))));
            verifiers.extend(verifier.clone().map(|verifier| (name.clone(), verifier)));
            resources.insert(name.clone(), ProtectedResource::new(config.resource(&name), &public_url, verifier));
            let kept = before.and_then(|before| before.endpoints.get(&name).cloned());
            let mounted = kept.unwrap_or_else(|| {
                let stop = self.stop.child_token();
                let (registry, audit) = (self.registry.clone(), self.audit.clone());
                let endpoint = mcp::Endpoint::new(&name, &config.server, registry, audit, stop.clone());
                Mounted { endpoint: Arc::new(endpoint), stop }
            });
            endpoints.insert(name, mounted);
        }
        let gate = Gate::new(resources, self.registry.clone(), self.audit.clone());
        let documents = Arc::new(Documents::new(Arc::new(config.clone()), verifiers));
        let (registry, audit) = (self.registry.clone(), self.audit.clone());
        let checkup = Checkup::new(&config, Arc::clone(&self.outlook));
        State { config, registry, gate, audit, endpoints, dev, documents, checkup }
    }
}

/// The verifier of an endpoint, if it would be the same again: with the keys and verdicts that it has.
fn kept_verifier(before: &State, config: &Config, endpoint: &str) -> Option<Arc<Verifier>> {
    let same = before.config.provider_for(endpoint) == config.provider_for(endpoint)
        && before.config.resource(endpoint) == config.resource(endpoint)
        && dev_issuer(&before.config) == dev_issuer(config);
    before.gate.resource(endpoint).filter(|_| same)?.verifier().cloned()
}
