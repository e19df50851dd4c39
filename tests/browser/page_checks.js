// What every page must keep to, read from the page as the browser shows it: a sentence a fault.
"use strict";

(() => {
  const say = (element, what) => {
    const place = element.id ? `#${element.id}` : `.${element.getAttribute("class") ?? ""}`;
    const text = element.textContent.trim().slice(0, 40);
    return `${element.localName}${place} "${text}": ${what}`;
  };
  const isShown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });

  function wider() {
    const over = document.documentElement.scrollWidth - window.innerWidth;
    return over > 0 ? [`the page is ${over} px wider than the window`] : [];
  }

  // Colours come in any notation: the canvas knows them all.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  function rgba(colour) {
    if (!known.has(colour)) known.set(colour, painted(colour));
    return known.get(colour);
  }
  function painted(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  }
  const over = ([r, g, b, a], [r2, g2, b2]) => [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a), 1];
  const grounds = new Map([[null, { opacity: 1, colour: rgba("Canvas") }]]);
  function ground(element) {
    if (!grounds.has(element)) {
      const below = ground(element.parentElement);
      const style = getComputedStyle(element);
      const [r, g, b, a] = rgba(style.backgroundColor);
      const opacity = below.opacity * Number(style.opacity);
      grounds.set(element, { opacity, colour: over([r, g, b, a * opacity], below.colour) });
    }
    return grounds.get(element);
  }
  function luminance([r, g, b]) {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }
  function ratio(front, back) {
    const [hi, lo] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    return (hi + 0.05) / (lo + 0.05);
  }
  function judged(element, style, colour) {
    const { opacity, colour: back } = ground(element);
    const [r, g, b, a] = rgba(colour);
    const found = ratio(over([r, g, b, a * opacity], back), back);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    return found + 0.01 < (isLarge ? 3 : 4.5) ? `contrast ${found.toFixed(2)}` : null;
  }
  // WCAG 2.2, 1.4.3, for all text that is shown and for what stands in empty fields.
  function pale() {
    const faults = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set();
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || seen.has(element) || !isShown(element)) continue;
      seen.add(element);
      const box = element.getBoundingClientRect();
      if (box.width < 2 || box.height < 2 || element.closest("option, script, style, :disabled")) continue;
      const style = getComputedStyle(element);
      const isDrawn = element instanceof SVGElement;
      const fault = judged(element, style, isDrawn ? style.fill : style.color);
      if (fault) faults.push(say(element, fault));
    }
    for (const field of document.querySelectorAll("[placeholder]")) {
      const style = getComputedStyle(field, "::placeholder");
      const fault = judged(field, style, style.color);
      if (fault) faults.push(say(field, `placeholder, ${fault}`));
    }
    return faults;
  }

  function nameOf(element) {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    const words = [
      element.getAttribute("aria-label"),
      ...labelled.map((id) => document.getElementById(id)?.textContent),
      ...[...(element.labels ?? [])].map((label) => label.textContent),
      element.matches("input, select, textarea") ? "" : element.textContent,
      element.title,
    ];
    return words.find((text) => text && text.trim()) ?? "";
  }
  function nameless() {
    const all = document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0'], [role=region], dialog, nav");
    const faults = [...all].filter((e) => !nameOf(e)).map((e) => say(e, "has no name"));
    for (const hidden of document.querySelectorAll("[aria-hidden=true]"))
      for (const e of hidden.querySelectorAll("a[href], button, input, select, summary"))
        if (e.tabIndex >= 0) faults.push(say(e, "can be focused, and is hidden from screen readers"));
    return faults;
  }

  function disordered() {
    const faults = [];
    const one = (selector) => {
      const count = document.querySelectorAll(selector).length;
      if (count !== 1) faults.push(`${count} times ${selector}`);
    };
    one("h1");
    one("main");
    if (!document.documentElement.lang) faults.push("no language");
    if (!document.title.trim()) faults.push("no title");
    let before = 0;
    for (const heading of document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")) {
      const level = Number(heading.localName[1]);
      if (level > before + 1) faults.push(say(heading, `a heading of level ${level} after level ${before}`));
      before = level;
    }
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`two elements are #${id}`);
    for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden=true]):not([aria-label]):not([aria-labelledby])"))
      if (!image.closest("[aria-hidden=true]")) faults.push(say(image, "a picture without words"));
    for (const cell of document.querySelectorAll("th:not([scope])")) faults.push(say(cell, "a header cell without a scope"));
    return faults;
  }

  return [...wider(), ...pale(), ...nameless(), ...disordered()];
})();
