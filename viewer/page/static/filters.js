// The filters take effect as they are chosen, without a new page: the focus stays where it is.
"use strict";

(() => {
  const WAIT_MS = 150;
  const PARTS = ["strip", "filters-end", "filters-told", "list"];
  const form = document.querySelector("[data-filters]");
  let timer = null;
  let asking = null;
  let applied = location.search;

  // Only what was asked for stands in the address.
  function address() {
    const asked = [...new FormData(form)].filter(([, value]) => value);
    const query = new URLSearchParams(asked).toString();
    return query ? `/?${query}` : "/";
  }

  async function apply() {
    const url = address();
    asking?.abort();
    asking = new AbortController();
    try {
      const response = await fetch(url, { signal: asking.signal });
      if (!response.ok) throw new Error(response.statusText);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      history.pushState(null, "", url);
      applied = location.search;
      for (const id of PARTS) place(document.getElementById(id), page.getElementById(id));
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  }

  function place(old, fresh) {
    old.replaceWith(document.adoptNode(fresh));
    document.dispatchEvent(new CustomEvent("region-placed", { detail: fresh }));
  }

  form.addEventListener("change", (event) => {
    if (event.target.id === "search") return; // enter says that it is whole
    clearTimeout(timer);
    timer = setTimeout(apply, WAIT_MS);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    location.assign(address());
  });

  // What stands in the form is not of this address any more.
  window.addEventListener("popstate", () => {
    if (location.search !== applied) location.reload();
  });
})();
