// Signing in as a public client with PKCE: a client that registers itself when someone first opens the dialog, the
// answer that comes back through the receiver page, and the token request.
"use strict";

window.toolgateSignIn = function (settings) {
  const receiver = new URL("docs/oauth-receiver.html", window.location.href).href;
  const registrations = new Map();
  // By security scheme: the scopes that the dialog ticks when it opens next.
  const wanted = new Map();
  // What to do once a sign-in has succeeded.
  let afterwards = null;

  // RFC 7591, section 3. One registration an address for as long as the page is open.
  function register(signIn) {
    if (signIn.clientId) return Promise.resolve(signIn.clientId);
    if (!signIn.registrationUrl) {
      return Promise.reject(new Error("this authorization server registers no clients by itself; enter a client_id whose redirect URI is " + receiver));
    }
    const address = new URL(signIn.registrationUrl, window.location.href).href;
    if (!registrations.has(address)) {
      const registration = fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({
          client_name: settings.title + " documentation",
          redirect_uris: [receiver],
          grant_types: ["authorization_code"],
          response_types: ["code"],
          token_endpoint_auth_method: "none",
        }),
      }).then(async (response) => {
        const answer = await response.json().catch(() => ({}));
        if (!response.ok || !answer.client_id) {
          throw new Error("registration was answered " + response.status + ": " + (answer.error_description || answer.error || "no client_id"));
        }
        return answer.client_id;
      });
      registration.catch(() => registrations.delete(address));
      registrations.set(address, registration);
    }
    return registrations.get(address);
  }

  // Swagger UI has one client for all schemes: each scheme's form gets its own here, when it is known.
  function plugin(system) {
    const React = system.React;
    const wrap = (Original) =>
      class SignIn extends React.Component {
        constructor(props) {
          super(props);
          this.signIn = settings.signIn[props.name] || {};
          this.state = { waiting: props.schema.get("flow") === "authorizationCode", clientId: "", failure: "" };
        }

        componentDidMount() {
          this.mounted = true;
          if (!this.state.waiting) return;
          register(this.signIn).then(
            (clientId) => this.mounted && this.setState({ waiting: false, clientId }),
            (failure) => this.mounted && this.setState({ waiting: false, failure: failure.message }),
          );
        }

        componentWillUnmount() {
          this.mounted = false;
        }

        render() {
          if (this.state.waiting) return React.createElement("p", { className: "registration" }, "Registering this page as a client …");
          const configs = {
            clientId: this.state.clientId,
            scopes: wanted.get(this.props.name) || this.signIn.scopes || [],
            usePkceWithAuthorizationCodeGrant: true,
            additionalQueryStringParams: this.signIn.resource ? { resource: this.signIn.resource } : {},
          };
          // Who steps up keeps the token until there is a better one, and is asked as if there were none.
          const without = (held) => (held && wanted.has(this.props.name) ? held.delete(this.props.name) : held);
          const selectors = this.props.authSelectors;
          const authSelectors = Object.assign({}, selectors, {
            getConfigs: () => configs,
            authorized: () => without(selectors.authorized()),
          });
          const authorized = without(this.props.authorized);
          const form = React.createElement(Original, Object.assign({}, this.props, { authSelectors, authorized }));
          // A client that registered itself has nothing to be typed in.
          const known = this.state.clientId ? "client-known" : "client-unknown";
          const failure = this.state.failure
            ? React.createElement("p", { className: "registration failed", role: "alert" }, "This page has no client: " + this.state.failure + ".")
            : null;
          return React.createElement("div", { className: known }, failure, form);
        }
      };
    // A dialog whose purpose is served closes by itself; one that closes, for whatever reason, has forgotten what it
    // was opened for.
    const signedIn = (original) => (payload) => {
      // A server that grants what was asked for need not say so (RFC 6749, section 5.1).
      const result = original({ ...payload, token: { scope: asked ? asked.scope : "", ...payload.token } });
      const next = afterwards;
      system.authActions.showDefinitions(false);
      forget();
      if (next) window.setTimeout(next, 0);
      look(system);
      return result;
    };
    const shown = (original) => (definitions) => {
      if (!definitions) forget();
      return original(definitions);
    };
    const looking = (original) => (payload) => {
      const result = original(payload);
      look(system);
      return result;
    };
    const wrapActions = { authorizeOauth2: signedIn, authorize: looking, logout: looking, showDefinitions: shown, authPopup: ask };
    return { wrapComponents: { oauth2: wrap }, statePlugins: { auth: { wrapActions } } };
  }

  function forget() {
    wanted.clear();
    afterwards = null;
  }

  // What was asked of an authorization server last: the only answer that is taken.
  let asked = null;

  // Swagger UI's `state` is the time of day, which anybody can guess (RFC 6749, section 10.12).
  const ask = () => (url, pending) => {
    const state = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    const address = new URL(url, window.location.href);
    address.searchParams.set("state", state);
    asked = { ...pending, state, scope: address.searchParams.get("scope") || "" };
    window.open(address.href);
    return { type: "toolgate_asked" };
  };

  // What an authorization server may say (RFC 6749, section 4.1.2.1; RFC 8707, section 2), in our words: an address that
  // somebody was led to could say anything in others.
  const REFUSALS = {
    access_denied: "Access was declined; nothing was allowed.",
    invalid_request: "The authorization server does not understand what this page asked for (invalid_request).",
    invalid_scope: "The authorization server does not give these scopes (invalid_scope).",
    invalid_target: "The authorization server does not give tokens for this server (invalid_target).",
    server_error: "The authorization server failed; try again later (server_error).",
    temporarily_unavailable: "The authorization server is not available now; try again later (temporarily_unavailable).",
    unauthorized_client: "The authorization server does not let this page sign people in (unauthorized_client).",
    unsupported_response_type: "The authorization server gives no codes to pages (unsupported_response_type).",
  };

  // The answer to a sign-in, from the receiver page. One that this page did not ask for is left alone, not even
  // used with a warning.
  const channel = new BroadcastChannel("toolgate-sign-in");
  channel.onmessage = (message) => {
    const answer = new URLSearchParams(message.data.answer || "");
    if (!asked || !asked.state || answer.get("state") !== asked.state) return;
    channel.postMessage({ taken: asked.state });
    delete asked.state;
    const refuse = (text) => asked.errCb({ authId: asked.auth.name, source: "auth", level: "error", message: text });
    const signIn = settings.signIn[asked.auth.name] || {};
    const named = answer.get("iss");
    // Who promises to say who answers must do so in every answer (RFC 9207, section 2.4).
    if (signIn.issuer && (named === null ? signIn.namesIssuer : named !== signIn.issuer)) {
      refuse("The answer is not from the authorization server that was asked.");
    } else if (answer.has("error")) {
      const code = answer.get("error");
      refuse(Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : "The authorization server refused, for a reason that this page does not know.");
    } else if (!answer.get("code")) {
      refuse("The authorization server sent no code.");
    } else {
      asked.auth.code = answer.get("code");
      asked.callback({ auth: asked.auth, redirectUrl: asked.redirectUrl });
    }
  };

  // The token request of a public client: the resource (RFC 8707, section 2.2), and no header that would need a preflight.
  function requestInterceptor(request) {
    const signIn = (asked && settings.signIn[asked.auth.name]) || {};
    if (signIn.tokenUrl && request.url === signIn.tokenUrl && typeof request.body === "string") {
      const body = new URLSearchParams(request.body);
      if (signIn.resource) body.set("resource", signIn.resource);
      request.body = body.toString();
      delete request.headers["X-Requested-With"];
    }
    return request;
  }

  // Where an endpoint hides tools, the document shows those that a token reaches to that token alone: it is fetched with
  // each that is at hand, and shown together.
  const hiding = Object.keys(settings.signIn).filter((scheme) => settings.signIn[scheme].hides);
  let looks = 0;
  async function look(system) {
    if (!hiding.length) return;
    const turn = (looks += 1);
    const held = system.authSelectors.authorized();
    const tokens = hiding.map((scheme) => held.getIn([scheme, "token", "access_token"]) || held.getIn([scheme, "value"])).filter(Boolean);
    const fetched = [undefined, ...tokens].map(async (token) => {
      const headers = token ? { Authorization: "Bearer " + token } : {};
      const response = await fetch(new URL(settings.document, window.location.href), { headers, cache: "no-cache" });
      if (!response.ok) throw new Error("answered " + response.status);
      return response.json();
    });
    const documents = await Promise.all(fetched).catch(() => null);
    // What is shown is better than nothing, and what was asked for later better than this.
    if (!documents || turn !== looks) return;
    const [whole, ...more] = documents;
    for (const { paths, components, tags } of more) {
      Object.assign(whole.paths, paths);
      for (const kind of Object.keys(components)) whole.components[kind] = { ...whole.components[kind], ...components[kind] };
      whole.tags.push(...tags.filter((tag) => !whole.tags.some((known) => known.name === tag.name)));
    }
    system.specActions.updateSpec(JSON.stringify(whole));
  }

  return {
    receiver,
    plugin,
    requestInterceptor,
    // Opens the dialog for one scheme with these scopes ticked; `then` runs once somebody has signed in.
    open(system, scheme, scopes, then) {
      wanted.clear();
      wanted.set(scheme, scopes);
      afterwards = then;
      system.authActions.showDefinitions(system.authSelectors.definitionsToAuthorize().filter((one) => one.has(scheme)));
    },
    scopes: (scheme) => (settings.signIn[scheme] || {}).scopes || [],
  };
};
