// Keeps the page up to date: what changed is fetched again as HTML and put in place of what was
// there, and whoever reads or types notices nothing but the news.
"use strict";

(() => {
  const RETRY_MS = 3000;
  const state = document.getElementById("live-state");
  const announcement = document.getElementById("announcement");
  const shown = new Map(); // region id -> the HTML that it was made from
  const due = new Map(); // region id -> when it may be fetched again, or a timer
  let version = document.body.dataset.version;
  let source = null;
  let retry = null;

  function show(name, words) {
    if (!state) return;
    state.hidden = false;
    state.dataset.state = name;
    state.textContent = words;
  }

  function connect() {
    if (source || document.hidden) return;
    clearTimeout(retry);
    source = new EventSource(`/updates?since=${encodeURIComponent(version)}`);
    source.onopen = () => show("live", "live");
    source.onmessage = (message) => {
      const change = JSON.parse(message.data);
      version = String(change.version);
      concerned(change.calls).forEach(refresh);
    };
    source.onerror = () => {
      show("lost", "no connection");
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      disconnect();
      retry = setTimeout(connect, RETRY_MS);
    };
  }

  function disconnect() {
    source?.close();
    source = null;
  }

  function concerned(calls) {
    const changed = calls && new Set(calls);
    return [...document.querySelectorAll("[data-live]")].filter((region) => {
      const keys = region.dataset.live.split(" ");
      return !changed || keys.includes("*") || keys.some((key) => changed.has(key));
    });
  }

  // One fetch of a region at a time, and no more often than it wants.
  function refresh(region) {
    const id = region.id;
    const every = Number(region.dataset.liveEvery) || 0;
    const wait = due.get(id);
    if (wait === "waiting" || wait === "fetching") {
      if (wait === "fetching") due.set(id, "again");
      return;
    }
    if (wait === "again") return;
    const rest = (wait ?? 0) - performance.now();
    due.set(id, "waiting");
    setTimeout(async () => {
      due.set(id, "fetching");
      try {
        await fetched(id);
      } finally {
        const again = due.get(id) === "again";
        due.set(id, performance.now() + every);
        const now = document.getElementById(id);
        if (again && now) refresh(now);
      }
    }, Math.max(rest, 0));
  }

  async function fetched(id) {
    const region = document.getElementById(id);
    if (!region) return;
    if (region.hasAttribute("data-live-whole")) {
      location.reload();
      return;
    }
    const asked = location.search;
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.set("fragment", id);
    const response = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!response || !response.ok) return;
    const html = await response.text();
    if (location.search !== asked) return; // the filters were changed meanwhile
    if (shown.get(id) === html) return;
    shown.set(id, html);
    const parsed = new DOMParser().parseFromString(html, "text/html");
    const fresh = parsed.getElementById(id);
    const old = document.getElementById(id);
    if (fresh && old) replace(old, document.adoptNode(fresh));
  }

  function replace(old, fresh) {
    if (isSelecting(old)) {
      shown.delete(old.id); // it comes with the next change
      return;
    }
    for (const details of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (twin) twin.open = details.open;
    }
    const scrolled = [...old.querySelectorAll("[id]")].filter((e) => e.scrollTop || e.scrollLeft);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const anchor = anchorOf(old);
    old.replaceWith(fresh);
    for (const element of scrolled) {
      const twin = document.getElementById(element.id);
      if (!twin) continue;
      twin.scrollTop = element.scrollTop;
      twin.scrollLeft = element.scrollLeft;
    }
    restoreAnchor(anchor);
    const twin = focused?.id && document.getElementById(focused.id);
    if (twin) twin.focus({ preventScroll: true });
    started(fresh);
    const news = fresh.dataset.announce;
    if (announcement && news && news !== old.dataset.announce) announcement.textContent = news;
    document.dispatchEvent(new CustomEvent("region-replaced", { detail: fresh }));
  }

  function isSelecting(region) {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  }

  // What one reads stays where it is, though rows came in above it.
  function anchorOf(region) {
    if (window.scrollY === 0) return null;
    for (const element of region.querySelectorAll("[id]")) {
      const top = element.getBoundingClientRect().top;
      if (top >= 0) return { id: element.id, top };
    }
    return null;
  }

  function restoreAnchor(anchor) {
    const element = anchor && document.getElementById(anchor.id);
    if (element) window.scrollBy(0, element.getBoundingClientRect().top - anchor.top);
  }

  // Figures that count on by themselves while a call runs.
  const clocks = new WeakMap();

  function started(root) {
    for (const element of root.querySelectorAll("[data-elapsed-ms]")) {
      clocks.set(element, performance.now() - Number(element.dataset.elapsedMs));
    }
  }

  function duration(ms) {
    if (ms < 999.5) return `${Math.round(ms)} ms`;
    const seconds = ms / 1000;
    if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
    if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    const two = (number) => String(number).padStart(2, "0");
    if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  }

  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-elapsed-ms]")) {
      const since = clocks.get(element);
      if (since !== undefined) element.textContent = duration(performance.now() - since);
    }
  }, 250);

  // A silent call changes nothing, and still it takes longer and longer.
  setInterval(() => {
    if (source && !document.hidden) document.querySelectorAll("[data-live-tick]").forEach(refresh);
  }, 3000);

  // What is copied, and a word that it was.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      if (announcement) announcement.textContent = "Copied";
      button.dataset.copied = "";
      setTimeout(() => delete button.dataset.copied, 1200);
    } catch {
      if (announcement) announcement.textContent = "The browser does not let this page copy";
    }
  });

  document.addEventListener("region-placed", ({ detail: fresh }) => {
    shown.delete(fresh.id);
    started(fresh);
    if (announcement && fresh.dataset.announce) announcement.textContent = fresh.dataset.announce;
  });

  document.documentElement.classList.add("has-scripts");
  started(document);
  connect();
  document.addEventListener("visibilitychange", () => {
    // A browser opens few connections to one host: a page that nobody sees gives its own back.
    if (document.hidden) disconnect();
    else connect();
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);
})();
