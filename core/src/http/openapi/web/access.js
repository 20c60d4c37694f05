// Names and roles that Swagger UI leaves out, for people who do not see the page or use no mouse (WCAG 2.2, criteria
// 1.3.1, 2.1.1 and 4.1.2). Set as they appear; nothing that Swagger UI sets itself is touched.
"use strict";

window.toolgateAccess = function (root) {
  // Where, which attribute, which value.
  const missing = [
    [".close-modal", "aria-label", () => "Close"],
    [".copy-to-clipboard > button", "aria-label", () => "Copy"],
    [".opblock-body .servers select", "aria-label", () => "Server"],
    ["textarea.body-param__text", "aria-label", () => "Request body"],
    ["pre.microlight", "tabindex", () => "0"],
    [".modal-ux", "role", () => "dialog"],
    [".modal-ux", "aria-modal", () => "true"],
    [".modal-ux", "aria-label", () => "Sign in"],
    [".auth-btn-wrapper .authorize", "aria-label", (button) => button.textContent],
    [".model-box-control", "aria-label", (button) => button.textContent || "Expand"],
    [".scopes h2 a", "role", () => "button"],
    [".scopes h2 a", "tabindex", () => "0"],
    [".expand-methods, .expand-operation", "aria-label", () => "Expand"],
  ];

  function mend() {
    for (const [where, attribute, value] of missing) {
      for (const found of root.querySelectorAll(where)) set(found, attribute, value(found));
    }
    // The page's own heading is the first level; Swagger UI begins with the third, descriptions with any. None may be
    // more than a level below the one before it.
    let before = 1;
    for (const heading of root.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
      before = Math.min(Math.max(Number(heading.tagName[1]) - 1, 2), before + 1);
      set(heading, "role", "heading");
      set(heading, "aria-level", String(before));
    }
    enter();
  }

  function set(element, attribute, value) {
    if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
  }

  // A dialog takes the focus, keeps it, closes with Escape, and gives it back.
  let before = null;
  function enter() {
    const dialog = root.querySelector(".modal-ux");
    if (dialog && !before) {
      before = document.activeElement;
      const first = dialog.querySelector(".auth-btn-wrapper .authorize") || dialog.querySelector(".close-modal");
      if (first) first.focus();
    } else if (!dialog && before) {
      if (before.isConnected && document.activeElement === document.body) before.focus();
      before = null;
    } else if (dialog && !dialog.contains(document.activeElement)) {
      // What had the focus was drawn anew.
      const first = dialog.querySelector(".auth-btn-wrapper .authorize") || dialog.querySelector(".close-modal");
      if (first) first.focus();
    }
  }
  document.addEventListener("keydown", (event) => {
    const dialog = root.querySelector(".modal-ux");
    if ((event.key === "Enter" || event.key === " ") && event.target.matches && event.target.matches(".scopes h2 a")) {
      event.preventDefault();
      event.target.click();
    }
    if (!dialog) return;
    if (event.key === "Escape") {
      dialog.querySelector(".close-modal").click();
    } else if (event.key === "Tab") {
      const stops = [...dialog.querySelectorAll("button, input, select, a[tabindex]")].filter((stop) => stop.offsetParent);
      const last = stops.length - 1;
      const at = stops.indexOf(document.activeElement);
      if (event.shiftKey ? at <= 0 : at === last) {
        event.preventDefault();
        stops[event.shiftKey ? last : 0].focus();
      }
    }
  });

  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    window.requestAnimationFrame(() => {
      due = false;
      mend();
    });
  }).observe(root, { childList: true, subtree: true });
};
