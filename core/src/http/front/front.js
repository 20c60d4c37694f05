// Copies what is there to copy, filters the tools, and keeps an open page as fresh as the server. The page is whole
// without it. What has changed comes from the server as it renders it: there is one place that knows what things look like.
"use strict";

(function () {
  const EVERY = 5000; // how often to look, in milliseconds
  const PATIENCE = 10000; // how long to wait for an answer
  const page = document.documentElement;
  const told = document.getElementById("told");
  const gone = document.getElementById("gone");
  const keys = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘C" : "Ctrl+C";
  page.classList.add("js");

  // Copying. The clipboard is for secure contexts alone; in others the text is copied as a selection, or stays selected.
  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    let copied = false;
    try {
      await navigator.clipboard.writeText(source.textContent);
      copied = true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
      copied = document.execCommand("copy");
      if (copied) window.getSelection().removeAllRanges();
    }
    const label = button.firstChild;
    window.clearTimeout(button.restoring);
    label.textContent = copied ? "Copied" : keys;
    if (told) told.textContent = copied ? "Copied" : "Selected; copy with " + keys;
    button.restoring = window.setTimeout(() => { label.textContent = "Copy"; }, 2000);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });

  // Filtering.
  function filter() {
    const field = document.getElementById("filter");
    if (!field) return;
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of document.querySelectorAll("#tools .tools > li")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) found += 1;
    }
    const more = document.getElementById("more");
    if (more && words.length > 0) more.open = true;
    document.getElementById("tools").classList.toggle("filtering", words.length > 0);
    document.getElementById("filtered").textContent = words.length > 0 ? (found || "Nothing") + " found" : "";
  }
  document.addEventListener("input", (event) => {
    if (event.target.id === "filter") filter();
  });

  // Keeping fresh.
  const live = (root) => Array.from(root.querySelectorAll("[data-live]"));
  const files = (root) => root.querySelector('meta[name="toolgate-files"]')?.content;
  const shown = new Map(live(document).map((part) => [part.id, part.outerHTML]));
  let last = "";
  let lost = null;

  // Where the focus can be in a part, and what tells one such place from the others.
  const stops = (part) => Array.from(part?.querySelectorAll("a[href], button, input, summary, [tabindex]") ?? []);
  const mark = (stop) => stop.id || stop.dataset.copy || stop.getAttribute("href") || stop.textContent;

  // The focus, as it is found again in a part that was replaced: at what is the same, or else at the same turn.
  function focus() {
    const stop = document.activeElement;
    const part = stop?.closest("[data-live]");
    return part ? { part: part.id, mark: mark(stop), turn: stops(part).indexOf(stop) } : null;
  }
  function focusAgain(at) {
    const all = stops(document.getElementById(at.part));
    const stop = all.find((one) => mark(one) === at.mark) ?? all[at.turn];
    if (stop && stop !== document.activeElement) stop.focus({ preventScroll: true });
  }

  // What people have set, put back after a part was replaced.
  function keeping(replace) {
    const set = {
      focused: focus(),
      chosen: document.querySelector('input[name="client"]:checked')?.id,
      open: document.getElementById("more")?.open,
      filter: document.getElementById("filter")?.value,
    };
    replace();
    const chosen = set.chosen && document.getElementById(set.chosen);
    if (chosen) chosen.checked = true;
    const more = document.getElementById("more");
    if (more && set.open) more.open = true;
    const field = document.getElementById("filter");
    if (field && set.filter) {
      field.value = set.filter;
      filter();
    }
    if (set.focused) focusAgain(set.focused);
  }

  function show(next) {
    if (files(next) !== files(document)) return say("This server was updated.", true);
    const parts = live(next);
    const state = next.getElementById("state-word")?.textContent;
    if (told && state !== document.getElementById("state-word")?.textContent) told.textContent = "Now: " + state;
    keeping(() => {
      if (parts.map((part) => part.id).join() !== Array.from(shown.keys()).join()) {
        document.getElementById("main").replaceWith(next.getElementById("main"));
      } else {
        for (const part of parts) {
          if (part.outerHTML !== shown.get(part.id)) document.getElementById(part.id).replaceWith(part.cloneNode(true));
        }
      }
    });
    shown.clear();
    for (const part of parts) shown.set(part.id, part.outerHTML);
  }

  function say(text, reload) {
    gone.textContent = text;
    if (reload) {
      const again = document.createElement("a");
      again.href = "";
      again.textContent = "Reload the page";
      gone.append(" ", again);
    }
    gone.hidden = false;
  }

  async function look() {
    if (document.hidden) return;
    let status = 0;
    try {
      const answer = await fetch(window.location.href, {
        headers: { Accept: "text/html" },
        cache: "no-cache",
        signal: AbortSignal.timeout(PATIENCE),
      });
      status = answer.status;
      if (!answer.ok) throw new Error("answered " + status);
      const text = await answer.text();
      if (lost) gone.hidden = true;
      lost = null;
      if (text !== last) show(new DOMParser().parseFromString(text, "text/html"));
      last = text;
    } catch {
      if (lost && lost.status === status) return;
      lost = { status, since: lost?.since ?? new Date() };
      const what = status ? "has answered with an error (" + status + ")" : "has not answered";
      say("This server " + what + " since " + lost.since.toLocaleTimeString() + ". What you see may be out of date.");
    }
  }
  async function keepLooking() {
    await look();
    window.setTimeout(keepLooking, EVERY);
  }
  if (document.querySelector("[data-live]")) {
    document.addEventListener("visibilitychange", look);
    window.setTimeout(keepLooking, EVERY);
  }
})();
