// The portal's only script. Every page works without it: it turns times local, counts seconds,
// copies, and keeps a virtual cluster's page in step with its event stream.
"use strict";
(() => {
  const pad = (n) => String(n).padStart(2, "0");

  function words(seconds) {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const parts = seconds < 3600 ? [[60, "min"], [1, "s"]] : seconds < 86400 ? [[3600, "h"], [60, "min"]] : [[86400, "d"], [3600, "h"]];
    const [[big, bigName], [small, smallName]] = parts;
    const rest = Math.floor((seconds % big) / small);
    return `${Math.floor(seconds / big)} ${bigName}${rest ? ` ${rest} ${smallName}` : ""}`;
  }

  function localTimes(root) {
    const today = new Date().toDateString();
    for (const element of root.querySelectorAll("time[datetime]")) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
      const day = at.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
      element.textContent = at.toDateString() === today ? clock : `${day}, ${clock}`;
    }
  }

  // The server's clock counts, not this machine's: the page carries the moment it was made.
  let skew = 0;
  function setSkew(root) {
    const made = root.querySelector("[data-made]");
    if (made) skew = Date.now() - Date.parse(made.dataset.made);
  }
  function tick() {
    for (const element of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (Date.now() - skew - Date.parse(element.dataset.since)) / 1000);
      if (Number.isFinite(seconds)) element.textContent = words(seconds);
    }
  }

  function copyButtons() {
    document.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      const source = document.getElementById(button.dataset.copy);
      const label = button.dataset.label || (button.dataset.label = button.textContent.trim());
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Press Ctrl+C";
      }
      announce(`${label}: ${button.textContent}`);
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  let announced = "";
  let lastSpoken = 0;
  let timer = 0;
  function announce(text) {
    const place = document.getElementById("announcer");
    if (!place || !text || text === announced) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      announced = text; lastSpoken = Date.now(); place.textContent = text;
    }, Math.max(0, 3000 - (Date.now() - lastSpoken)));
  }

  // Blocks marked data-live are swapped one by one, and only those whose HTML changed.
  const shown = new Map();
  function remember(root) {
    for (const block of root.querySelectorAll("[data-live]")) shown.set(block.id, block.innerHTML);
  }
  function swap(fresh) {
    for (const block of fresh.querySelectorAll("[data-live]")) {
      const old = document.getElementById(block.id);
      if (!old || shown.get(block.id) === block.innerHTML) continue;
      shown.set(block.id, block.innerHTML);
      const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
      const open = [...old.querySelectorAll("details[id]")].map((d) => [d.id, d.open]);
      old.replaceChildren(...document.importNode(block, true).childNodes);
      for (const [id, state] of open) {
        const details = document.getElementById(id);
        if (details) details.open = state;
      }
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      localTimes(old);
    }
    announce(fresh.querySelector("[data-announce]")?.dataset.announce);
  }

  function live(page) {
    const sign = document.getElementById("live");
    const say = (state, text) => {
      sign.hidden = false;
      sign.dataset.state = state;
      sign.querySelector("span").textContent = text;
    };
    let wanted = false;
    let running = false;
    async function refresh() {
      if (running) { wanted = true; return; }
      running = true;
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
        if (answer.status === 404) { location.assign(page.dataset.gone || "/"); return; }
        if (answer.redirected) { location.reload(); return; }
        // An answer that comes after the page was hidden is dropped: the page asks anew when it is shown.
        const text = answer.ok ? await answer.text() : "";
        if (text && !document.hidden) {
          const fresh = new DOMParser().parseFromString(text, "text/html");
          const main = fresh.querySelector("[data-live-page]");
          page.dataset.every = main ? main.dataset.every || "" : "";
          setSkew(fresh);
          swap(fresh);
        }
      } catch { /* the stream notices a lost connection and says so */ }
      running = false;
      if (wanted) { wanted = false; setTimeout(refresh, 250); }
    }

    let stream = null;
    let again = 0;
    function connect() {
      const mine = stream = new EventSource(page.dataset.events);
      const changed = () => { say("live", "Live"); refresh(); };
      mine.onopen = () => say("live", "Live");
      mine.onmessage = changed;
      for (const kind of ["virtual-cluster.changed", "virtual-cluster.deleted"]) mine.addEventListener(kind, changed);
      mine.onerror = () => {
        say("lost", "Connection lost, reconnecting …");
        // The browser tries again by itself unless the server refused; then we ask the page anew.
        if (mine.readyState === EventSource.CLOSED) again = setTimeout(() => { refresh(); connect(); }, 3000);
      };
    }
    function disconnect() {
      clearTimeout(again);
      stream?.close();
      stream = null;
    }
    if (page.dataset.events) {
      if (!document.hidden) connect();
      addEventListener("pagehide", disconnect);
      // A browser allows few connections to one host: pages that nobody sees hold none.
      document.addEventListener("visibilitychange", () => {
        disconnect();
        if (!document.hidden) { connect(); refresh(); }
      });
    }
    // What no event tells of (Ray, quota of a team) is asked for every few seconds while it is seen.
    let asked = Date.now();
    setInterval(() => {
      const every = Number(page.dataset.every || 0) * 1000;
      if (!every || document.hidden || Date.now() - asked < every) return;
      asked = Date.now();
      refresh();
    }, 500);
  }

  document.documentElement.classList.add("script");
  setSkew(document);
  remember(document);
  localTimes(document);
  tick();
  setInterval(tick, 1000);
  copyButtons();
  // A link to something inside a closed <details> opens it, also where the browser does not.
  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target) return;
    let opened = false;
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS" && !at.open) opened = at.open = true;
    }
    if (!opened) return; // the browser has moved the focus itself
    target.focus();
    target.scrollIntoView({ block: "center" });
  }
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  reveal();
  document.getElementById("problems")?.focus();
  const page = document.querySelector("[data-live-page]");
  if (page) live(page);
})();
