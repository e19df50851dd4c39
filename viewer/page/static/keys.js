// Keys: j and k move, enter opens, / searches, esc leaves, ? helps. Links do the rest.
"use strict";

(() => {
  const help = document.getElementById("keys");
  const shower = document.getElementById("show-keys");

  const links = () =>
    [...document.querySelectorAll("[data-row]")]
      .map((row) => (row.matches("a, button, summary") ? row : row.querySelector("a, button, summary")))
      .filter((link) => link && link.offsetParent !== null);

  function move(step) {
    const all = links();
    if (!all.length) return;
    const current = document.activeElement?.closest("[data-row]");
    const at = all.findIndex((link) => current && (link === current || current.contains(link)));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    all[next].focus();
    all[next].closest("[data-row]").scrollIntoView({ block: "nearest" });
  }

  function isTyping(element) {
    return element instanceof HTMLElement && element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  }

  function showHelp() {
    if (help && !help.open) help.showModal();
  }

  function leave() {
    const element = document.activeElement;
    if (isTyping(element)) {
      if (element.id === "search" && element.value) {
        element.value = "";
        if (new URLSearchParams(location.search).get("text")) element.form.requestSubmit();
        return;
      }
      element.blur();
      return;
    }
    if (element && element.closest("[data-row]")) {
      element.blur();
      return;
    }
    const clear = document.querySelector("[data-clear]");
    const back = document.getElementById("main")?.dataset.back;
    if (clear) clear.click();
    else if (back && before && before !== location.href && history.length > 1) history.back();
    else if (back) location.assign(back);
  }

  // The way back leads to the page as it was: the same filters, the same row.
  let before = null;

  document.addEventListener("click", (event) => {
    const row = event.target.closest?.("[data-row]");
    if (row && links().length) sessionStorage.setItem(`row ${location.href}`, row.id);
  });

  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) before = sessionStorage.getItem("page");
    sessionStorage.setItem("page", location.href);
    const [entry] = performance.getEntriesByType("navigation");
    if (entry?.type !== "back_forward" && !event.persisted) return;
    const row = document.getElementById(sessionStorage.getItem(`row ${location.href}`));
    links().find((link) => row?.contains(link))?.focus();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (help?.open) return; // the dialog has keys of its own
    if (event.key === "Escape") {
      leave();
      return;
    }
    if (isTyping(event.target)) return;
    const act = {
      j: () => move(1),
      k: () => move(-1),
      "/": () => {
        const search = document.getElementById("search");
        if (search) search.select();
        else location.assign("/#search");
      },
      "?": showHelp,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  if (location.hash === "#search") document.getElementById("search")?.select();

  if (shower) {
    shower.hidden = false;
    shower.addEventListener("click", showHelp);
  }
})();
