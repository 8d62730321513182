// Keeps a page up to date and shows times in the reader's zone. Pages work without it.
(() => {
  "use strict";
  const every = 15000;
  const main = document.getElementById("main");
  const notice = document.getElementById("unreachable");
  const asOf = document.getElementById("as-of");
  if (!main || !notice) return;

  // Times: the server sends UTC.
  const pad = (n) => String(n).padStart(2, "0");
  const zone = (d) => {
    const part = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(d).find((p) => p.type === "timeZoneName");
    return part ? part.value : "";
  };
  const local = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())} ${zone(d)}`;
  const units = [[86400, "day"], [3600, "h"], [60, "min"], [1, "s"]];
  let skew = 0; // of this machine's clock against the daemon's, in ms
  const ago = (d) => {
    const s = Math.trunc((Date.now() - skew - d.getTime()) / 1000);
    for (const [size, name] of units) {
      const n = Math.floor(Math.abs(s) / size);
      if (n === 0) continue;
      const span = `${n} ${name}${name === "day" && n > 1 ? "s" : ""}`;
      return s < 0 ? `in ${span}` : `${span} ago`;
    }
    return "now";
  };
  const set = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };
  const times = (root) => {
    for (const t of root.querySelectorAll("time[datetime]")) {
      const d = new Date(t.getAttribute("datetime"));
      if (isNaN(d)) continue;
      set(t.querySelector(".ago"), ago(d));
      set(t.querySelector(".at"), local(d));
    }
  };

  // morph makes the node old like the node now, and keeps the elements that stay: with them
  // focus, scroll, what is open and what somebody is writing.
  const key = (n) => (n.nodeType === 1 ? n.tagName + "#" + n.id : "" + n.nodeType);
  const morph = (old, now) => {
    if (old.nodeType !== 1) {
      if (old.data !== now.data) old.data = now.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    let child = old.firstChild;
    for (const want of [...now.childNodes]) {
      let match = child;
      while (match && key(match) !== key(want)) match = match.nextSibling;
      if (!match) {
        old.insertBefore(want, child);
        continue;
      }
      while (child !== match) {
        const next = child.nextSibling;
        child.remove();
        child = next;
      }
      child = match.nextSibling;
      morph(match, want);
    }
    while (child) {
      const next = child.nextSibling;
      child.remove();
      child = next;
    }
  };

  let tag = "", busy = false, lost = null;
  const say = (text, link) => {
    set(notice, text);
    if (link) {
      const a = document.createElement("a");
      a.href = location.href;
      a.textContent = link;
      notice.append(" ", a);
    }
  };
  const reached = (response) => {
    const date = new Date(response.headers.get("Date") || NaN);
    if (!isNaN(date)) {
      skew = Math.abs(Date.now() - date) > 5000 ? Date.now() - date : 0;
      if (asOf) set(asOf.querySelector(".ago"), local(date));
    }
    lost = null;
    say("");
  };
  const refresh = async () => {
    if (busy || document.visibilityState !== "visible") return;
    busy = true;
    try {
      const response = await fetch(location.href, {
        headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", credentials: "same-origin", redirect: "manual", signal: AbortSignal.timeout(10000),
      });
      if (response.type === "opaqueredirect" || response.status === 401) {
        say("You are not signed in any more.", "Sign in");
        return;
      }
      if (response.status === 200) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const fresh = page.getElementById("main");
        if (!fresh) throw new Error("no page");
        times(fresh);
        morph(main, fresh);
        document.title = page.title;
        tag = response.headers.get("ETag") || "";
      } else if (response.status !== 304) {
        throw new Error(String(response.status));
      }
      reached(response);
    } catch {
      lost = lost || new Date();
      say(`The daemon has not answered since ${local(lost)}. What you see is older than that.`, "Try again");
    } finally {
      busy = false;
    }
    times(document);
  };

  times(document);
  if (asOf) { // as the server wrote it, in UTC
    const shown = asOf.querySelector(".ago");
    const loaded = new Date(shown.textContent.replace(" UTC", "Z").replace(" ", "T"));
    if (!isNaN(loaded)) set(shown, local(loaded));
  }
  if ("fresh" in main.dataset) {
    const url = new URL(location.href);
    if (url.searchParams.has("done")) { // it is said once
      url.searchParams.delete("done");
      url.searchParams.delete("id");
      history.replaceState(null, "", url);
    }
    const fresh = document.getElementById("fresh");
    if (fresh) fresh.hidden = false;
    setInterval(refresh, every);
    document.addEventListener("visibilitychange", refresh);
  }

  // "/" leads to the search, as in many programs.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    const search = document.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
})();
