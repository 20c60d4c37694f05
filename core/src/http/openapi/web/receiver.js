// Hands the authorization server's answer (RFC 6749, section 4.1.2) to the page that asked for it. Not through
// `window.opener`: an authorization server's `Cross-Origin-Opener-Policy` takes that away.
"use strict";

(function () {
  const PATIENCE = 3000; // how long a page may take to say that it waits, in milliseconds
  const word = document.getElementById("word");
  const back = document.getElementById("back");
  const answer = window.location.search;
  const state = new URLSearchParams(answer).get("state");
  // The code must not stay in the history.
  window.history.replaceState(null, "", window.location.pathname);
  if (!state) return nobody();

  const channel = new BroadcastChannel("toolgate-sign-in");
  const given = window.setTimeout(nobody, PATIENCE);
  channel.onmessage = (message) => {
    if (message.data.taken !== state) return;
    window.clearTimeout(given);
    word.textContent = "Done; this window can be closed.";
    window.close();
  };
  channel.postMessage({ answer });

  function nobody() {
    word.textContent = "No page is waiting for this answer; open the documentation and sign in again.";
    back.hidden = false;
  }
})();
