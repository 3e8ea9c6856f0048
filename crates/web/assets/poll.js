// Asks [data-poll] whether its state changed: soon at first, then every five seconds, for at most an hour.
// Reply: {"state": "captured", "redirect": "/sessions/…/return" or absent, "terminal": true or absent}.
(() => {
  "use strict";
  const SOON = 1000, EVERY = 5000, LONGEST = 60000, GIVE_UP = 3600000;
  for (const place of document.querySelectorAll("[data-poll]")) {
    const note = place.querySelector(".poll-note");
    const started = performance.now();
    let wait = SOON, failures = 0, timer = 0;
    const say = (text) => { if (note && note.textContent !== text) note.textContent = text; };
    const later = () => {
      clearTimeout(timer);
      if (performance.now() - started < GIVE_UP) timer = setTimeout(ask, wait);
    };
    const ask = async () => {
      if (document.hidden) return;
      try {
        const reply = await fetch(place.dataset.poll, { headers: { accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
        if (!reply.ok) throw new Error(String(reply.status));
        const now = await reply.json();
        failures = 0; wait = Math.min(wait + SOON, EVERY); say("");
        if (typeof now.redirect === "string" && /^(\/(?!\/)|https?:)/.test(now.redirect)) { say(place.dataset.msgChanged); location.assign(now.redirect); return; }
        if (typeof now.state === "string" && now.state !== place.dataset.state) { say(place.dataset.msgChanged); setTimeout(() => location.reload(), 800); return; }
        if (now.terminal === true) return;
      } catch {
        failures += 1; wait = Math.min(Math.max(wait, EVERY) * 2, LONGEST);
        if (failures > 1) say(place.dataset.msgOffline);
      }
      later();
    };
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { wait = SOON; clearTimeout(timer); ask(); } });
    later();
  }
})();
