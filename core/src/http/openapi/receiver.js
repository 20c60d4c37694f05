// Hands the authorization server's answer to the page that opened this window (RFC 6749, section 4.1.2).
"use strict";

(function () {
  const word = document.getElementById("word");
  const opener = window.opener;
  const pending = opener && opener.swaggerUIRedirectOauth2;
  // The code must not stay in the history.
  const answer = new URLSearchParams(window.location.search);
  window.history.replaceState(null, "", window.location.pathname);

  if (!pending) {
    word.textContent = "No page is waiting for this answer; open the documentation and sign in again.";
    return;
  }
  const refuse = (message) => {
    pending.errCb({ authId: pending.auth.name, source: "auth", level: "error", message });
    window.close();
  };
  // An answer that this page did not ask for is not used, not even with a warning.
  if (!pending.state || answer.get("state") !== pending.state) {
    refuse("The answer's state is not the one that was sent; sign in again.");
    return;
  }
  delete pending.state;
  if (answer.has("error")) {
    const description = answer.get("error_description");
    refuse(answer.get("error") + (description ? ": " + description : ""));
    return;
  }
  if (!answer.get("code")) {
    refuse("The authorization server sent no code.");
    return;
  }
  pending.auth.code = answer.get("code");
  pending.callback({ auth: pending.auth, redirectUrl: pending.redirectUrl });
  window.close();
})();
