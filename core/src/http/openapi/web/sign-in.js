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
      const result = original(payload);
      const next = afterwards;
      system.authActions.showDefinitions(false);
      if (next) window.setTimeout(next, 0);
      return result;
    };
    const shown = (original) => (definitions) => {
      if (!definitions) {
        wanted.clear();
        afterwards = null;
      }
      return original(definitions);
    };
    return {
      wrapComponents: { oauth2: wrap },
      statePlugins: { auth: { wrapActions: { authorizeOauth2: signedIn, showDefinitions: shown } } },
    };
  }

  // The answer to a sign-in, from the receiver page. One that this page did not ask for is left alone, not even
  // used with a warning.
  const channel = new BroadcastChannel("toolgate-sign-in");
  channel.onmessage = (message) => {
    const pending = window.swaggerUIRedirectOauth2;
    const answer = new URLSearchParams(message.data.answer || "");
    if (!pending || !pending.state || answer.get("state") !== pending.state) return;
    channel.postMessage({ taken: pending.state });
    delete pending.state;
    const refuse = (text) => pending.errCb({ authId: pending.auth.name, source: "auth", level: "error", message: text });
    const signIn = settings.signIn[pending.auth.name] || {};
    if (signIn.issuer && answer.has("iss") && answer.get("iss") !== signIn.issuer) {
      refuse("The answer is from another authorization server: " + answer.get("iss"));
    } else if (answer.has("error")) {
      const description = answer.get("error_description");
      refuse(answer.get("error") + (description ? ": " + description : ""));
    } else if (!answer.get("code")) {
      refuse("The authorization server sent no code.");
    } else {
      pending.auth.code = answer.get("code");
      pending.callback({ auth: pending.auth, redirectUrl: pending.redirectUrl });
    }
  };

  // The token request of a public client: no empty secret, the resource (RFC 8707, section 2.2), and no header that
  // would need a preflight.
  function requestInterceptor(request) {
    const pending = window.swaggerUIRedirectOauth2;
    const signIn = (pending && pending.auth && settings.signIn[pending.auth.name]) || {};
    if (signIn.tokenUrl && request.url === signIn.tokenUrl && typeof request.body === "string") {
      const body = new URLSearchParams(request.body);
      if (!body.get("client_secret")) body.delete("client_secret");
      if (signIn.resource) body.set("resource", signIn.resource);
      request.body = body.toString();
      delete request.headers["X-Requested-With"];
    }
    return request;
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
