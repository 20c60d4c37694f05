// Hands the authorization server's answer (RFC 6749, section 4.1.2) to the page that asked for it. Not through
// `window.opener`: an authorization server's `Cross-Origin-Opener-Policy` takes that away.
"use strict";

(function () {
  const word = document.getElementById("word");
  const channel = new BroadcastChannel("toolgate-sign-in");
  const state = new URLSearchParams(window.location.search).get("state");
  channel.onmessage = (message) => {
    if (message.data.taken !== state) return;
    word.textContent = "Done; this window can be closed.";
    window.close();
  };
  channel.postMessage({ answer: window.location.search });
  // The code must not stay in the history.
  window.history.replaceState(null, "", window.location.pathname);
  window.setTimeout(() => {
    word.textContent = "No page is waiting for this answer; open the documentation and sign in again.";
  }, 3000);
})();
