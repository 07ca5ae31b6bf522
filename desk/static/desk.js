// Keeps the page's live part as the desk has it, without losing where somebody is typing or what is focused.
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const SILENT_MS = 16000; // three of the desk's beats
  const print = (event) => { if (event.target.id === "print") window.print(); };
  document.addEventListener("click", print);
  if (!document.querySelector("nav a") || !window.EventSource || document.querySelector("form.login")) return;

  const idOf = (node) => (node.nodeType === 1 && node.id) || "";

  // Makes `old` equal to `fresh`; a node with an id stays itself, wherever it moves.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || idOf(old) !== idOf(fresh)) {
      old.replaceWith(document.importNode(fresh, true));
      return;
    }
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old.contains(document.activeElement) && old.matches("select, textarea")) return;
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const wanted = new Set([...fresh.childNodes].map(idOf).filter(Boolean));
    const kept = new Map();
    for (const node of [...old.childNodes]) {
      const id = idOf(node);
      if (id && !wanted.has(id)) node.remove();
      else if (id) kept.set(id, node);
    }
    let at = old.firstChild;
    for (const node of fresh.childNodes) {
      const id = idOf(node);
      if (id && kept.has(id)) {
        const same = kept.get(id);
        if (same === at) at = at.nextSibling;
        else old.insertBefore(same, at);
        morph(same, node);
      } else if (!id && at && !idOf(at) && at.nodeName === node.nodeName) {
        const next = at.nextSibling;
        morph(at, node);
        at = next;
      } else {
        old.insertBefore(document.importNode(node, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function show(page) {
    const focused = idOf(document.activeElement || document.body);
    const fresh = new DOMParser().parseFromString(`<main>${page.html}</main>`, "text/html").querySelector("main");
    morphChildren(live, fresh);
    document.title = `${page.title} · sheetbreak`;
    const again = focused && document.getElementById(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  }

  function sign(token) {
    for (const field of document.querySelectorAll("input[name=csrf]")) field.value = token;
  }

  let heard = Date.now();
  let source = null;
  const hear = () => {
    heard = Date.now();
    lost.hidden = true;
  };
  function connect() {
    if (source) source.close();
    const here = new URL(location.href);
    here.searchParams.delete("sent"); // all who look at a page share one rendering
    source = new EventSource(`/events?page=${encodeURIComponent(here.pathname + here.search)}`);
    source.addEventListener("beat", hear);
    source.addEventListener("csrf", (event) => sign(JSON.parse(event.data)));
    source.addEventListener("page", (event) => {
      hear();
      show(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      lost.hidden = false;
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000); // refused: a browser gives up by itself
    });
  }
  setInterval(() => {
    if (Date.now() - heard < SILENT_MS) return;
    lost.hidden = false;
    if (Date.now() - heard > 2 * SILENT_MS) {
      heard = Date.now() - SILENT_MS;
      connect();
    }
  }, 1000);
  if (!document.body.dataset.still) connect();
})();
