// What to do about a refusal: a 401 or 403 in the answers of "Try it" is said in words, with a button that signs in
// for the scopes that the challenge names (RFC 6750, section 3).
"use strict";

window.toolgateAnswers = function (signIn) {
  // The parameters of a Bearer challenge. Swagger UI takes headers apart at commas.
  function challenge(header) {
    const parameters = {};
    const text = header.join ? header.join(",") : String(header);
    for (const [, name, quoted, token] of text.matchAll(/([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)) {
      parameters[name.toLowerCase()] = quoted === undefined ? token : quoted.replace(/\\(.)/g, "$1");
    }
    return parameters;
  }

  return function (system) {
    const element = system.React.createElement;
    const list = (scopes) => scopes.flatMap((scope, index) => [index ? ", " : "", element("code", { key: scope }, scope)]);

    function Refusal({ status, header, security, path, method }) {
      const asked = challenge(header);
      const scheme = security && security.size ? security.first().keySeq().first() : undefined;
      const needed = (asked.scope || "").split(" ").filter(Boolean);
      const authorized = scheme && system.authSelectors.authorized().get(scheme);
      const granted = authorized ? String(authorized.getIn(["token", "scope"]) || "").split(" ").filter(Boolean) : [];
      // Stepping up keeps what was granted before.
      const scopes = [...new Set([...(status === 403 ? granted : []), ...(needed.length ? needed : signIn.scopes(scheme))])];
      const focus = () => {
        const open = [...document.querySelectorAll(".opblock.is-open")];
        const block = open.find((block) => {
          const shown = block.querySelector(".opblock-summary-path");
          return shown && shown.textContent === path && block.classList.contains("opblock-" + method);
        });
        const button = block && block.querySelector(".execute");
        if (button) button.focus();
      };
      const again = status === 403 && granted.length > 0;
      const text =
        status === 403
          ? ["This call needs ", ...list(needed), granted.length ? [". You are signed in with ", ...list(granted), "."] : "."]
          : asked.error === "invalid_token"
            ? ["The token is not valid any more. Sign in again, then execute the call once more."]
            : ["This call needs a token", needed.length ? [" with ", ...list(needed)] : "", ". Sign in, then execute it again."];
      return element(
        "div",
        { className: "refusal", role: "status" },
        element("p", null, ...text),
        scheme
          ? element(
              "button",
              { type: "button", className: "btn sign-in", onClick: () => signIn.open(system, scheme, scopes, focus) },
              again ? "Sign in for these scopes" : "Sign in",
            )
          : null,
      );
    }

    const wrap = (Original) => (props) => {
      const original = element(Original, props);
      const status = props.response && props.response.get("status");
      if (status !== 401 && status !== 403) return original;
      const headers = props.response.get("headers");
      const header = headers && (headers.get ? headers.get("www-authenticate") : headers["www-authenticate"]);
      if (!header) return original;
      const spec = system.specSelectors.specJson();
      const security = spec.getIn(["paths", props.path, props.method, "security"]) || spec.get("security");
      const refusal = element(Refusal, { status, header, security, path: props.path, method: props.method });
      return element("div", null, refusal, original);
    };
    return { wrapComponents: { liveResponse: wrap } };
  };
};
