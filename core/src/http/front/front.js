// Copies what is there to copy, filters the tools, and keeps an open page as fresh as the server. The page is whole
// without it. What has changed comes from the server as it renders it: there is one place that knows what things look like.
"use strict";

(function () {
  const EVERY = 5000; // how often to look, in milliseconds
  const PATIENCE = 10000; // how long to wait for an answer
  const page = document.documentElement;
  const told = document.getElementById("told");
  const gone = document.getElementById("gone");
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
    label.textContent = copied ? "Copied" : "Ctrl+C";
    if (told) told.textContent = copied ? "Copied" : "Selected; copy with Ctrl+C";
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

  // What people have set, put back after a part was replaced.
  function keeping(replace) {
    const set = {
      focused: document.activeElement?.id,
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
    const focused = set.focused && document.getElementById(set.focused);
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
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
    try {
      const answer = await fetch(window.location.href, {
        headers: { Accept: "text/html" },
        cache: "no-cache",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (!answer.ok) throw new Error("answered " + answer.status);
      const text = await answer.text();
      if (lost) gone.hidden = true;
      lost = null;
      if (text !== last) show(new DOMParser().parseFromString(text, "text/html"));
      last = text;
    } catch {
      if (lost) return;
      lost = new Date();
      say("This server has not answered since " + lost.toLocaleTimeString() + ". What you see may be out of date.");
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
