//! What of a new configuration takes effect while the server runs. Each key of the sections is named here, so that a new
//! one cannot be forgotten: it is either live, or held back with a warning.

use crate::config::{Auth, Config, DevAuthSection, Diagnostic, Log, Server, Source};

/// What the server runs with.
pub(super) struct Standing<'a> {
    /// As it was stated at the start.
    pub(super) started: &'a Config,
    /// As it runs now.
    pub(super) running: &'a Config,
    /// Whether the development authorization server runs: it is its issuer for as long as it does.
    pub(super) dev: bool,
}

/// Put back what cannot change while the server runs, with a warning each.
pub(super) fn hold_back(standing: &Standing<'_>, config: &mut Config, source: &Source) -> Vec<Diagnostic> {
    let Config { server, auth, scopes: _, endpoints: _, plugins: _, audit, log, folder: _ } = config;
    let mut held = Held { source, warnings: Vec::new() };
    held.server(standing, server);
    held.auth(standing, auth);
    let (started, running) = (&standing.started.audit, &standing.running.audit);
    let crate::config::Audit { sink, arguments, on_full, queue } = audit;
    held.key(&["audit", "sink"], sink, &started.sink, &running.sink);
    held.key(&["audit", "arguments"], arguments, &started.arguments, &running.arguments);
    held.key(&["audit", "on_full"], on_full, &started.on_full, &running.on_full);
    held.key(&["audit", "queue"], queue, &started.queue, &running.queue);
    let (started, running) = (&standing.started.log, &standing.running.log);
    let Log { level, format } = log;
    held.key(&["log", "level"], level, &started.level, &running.level);
    held.key(&["log", "format"], format, &started.format, &running.format);
    held.warnings
}

struct Held<'a> {
    source: &'a Source,
    warnings: Vec<Diagnostic>,
}

impl Held<'_> {
    fn key<T: PartialEq + Clone>(&mut self, path: &[&str], value: &mut T, started: &T, running: &T) {
        if value != started {
            let message = "cannot change while the server runs";
            self.warnings.push(self.source.warning(path, None, message, "it takes effect at the next start"));
        }
        // The two differ where the start filled in what was left open, such as the port.
        value.clone_from(running);
    }

    fn server(&mut self, standing: &Standing<'_>, server: &mut Server) {
        let (started, running) = (&standing.started.server, &standing.running.server);
        let Server {
            listen,
            public_url,
            allowed_origins: _,
            allowed_hosts: _,
            max_body,
            max_connections,
            header_timeout,
            max_sessions,
            max_sessions_per_principal,
            session_idle,
            drain: _,
            state_dir,
        } = server;
        self.key(&["server", "listen"], listen, &started.listen, &running.listen);
        if standing.dev {
            self.key(&["server", "public_url"], public_url, &started.public_url, &running.public_url);
        }
        // Those of bodies and sessions are built into the endpoints, whose sessions are to live on.
        self.key(&["server", "max_body"], max_body, &started.max_body, &running.max_body);
        self.key(&["server", "max_connections"], max_connections, &started.max_connections, &running.max_connections);
        self.key(&["server", "header_timeout"], header_timeout, &started.header_timeout, &running.header_timeout);
        self.key(&["server", "max_sessions"], max_sessions, &started.max_sessions, &running.max_sessions);
        let most_each = (&started.max_sessions_per_principal, &running.max_sessions_per_principal);
        self.key(&["server", "max_sessions_per_principal"], max_sessions_per_principal, most_each.0, most_each.1);
        self.key(&["server", "session_idle"], session_idle, &started.session_idle, &running.session_idle);
        self.key(&["server", "state_dir"], state_dir, &started.state_dir, &running.state_dir);
    }

    fn auth(&mut self, standing: &Standing<'_>, auth: &mut Auth) {
        let Auth { provider: _, dev, scalekit: _, oauth: _ } = auth;
        if !standing.dev {
            return;
        }
        let (started, running) = (&standing.started.auth.dev, &standing.running.auth.dev);
        let DevAuthSection {
            allow_public: _,
            client_metadata_from_loopback: from_loopback,
            persist,
            access_token_ttl,
            refresh_token_ttl,
        } = dev;
        let both = (&started.client_metadata_from_loopback, &running.client_metadata_from_loopback);
        self.key(&["auth", "dev", "client_metadata_from_loopback"], from_loopback, both.0, both.1);
        self.key(&["auth", "dev", "persist"], persist, &started.persist, &running.persist);
        let (started, running) = (
            (started.access_token_ttl, started.refresh_token_ttl),
            (running.access_token_ttl, running.refresh_token_ttl),
        );
        self.key(&["auth", "dev", "access_token_ttl"], access_token_ttl, &started.0, &running.0);
        self.key(&["auth", "dev", "refresh_token_ttl"], refresh_token_ttl, &started.1, &running.1);
    }
}

/// Whether two configurations are one, the order of what is listed included.
pub(super) fn is_same(one: &Config, other: &Config) -> bool {
    one == other
        && one.endpoints.keys().eq(other.endpoints.keys())
        && one.plugins.keys().eq(other.plugins.keys())
        && one.scopes.keys().eq(other.scopes.keys())
}
