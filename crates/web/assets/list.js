// Keys for lists: "/" search, j and k move, x selects, Enter opens. Totals of what is selected.
(() => {
  "use strict";
  const table = document.querySelector("[data-list]");
  const search = document.querySelector("[data-search]");
  const rows = table ? [...table.tBodies[0].rows] : [];
  let at = -1;
  const go = (to) => {
    if (!rows.length) return;
    rows[at]?.classList.remove("at");
    at = Math.max(0, Math.min(rows.length - 1, to));
    rows[at].classList.add("at");
    rows[at].scrollIntoView({ block: "nearest" });
    rows[at].querySelector("a, input, button")?.focus({ preventScroll: true });
  };
  const out = document.querySelector("[data-selection]");
  const total = () => {
    if (!out) return;
    const chosen = rows.filter((row) => row.querySelector(".tick input")?.checked);
    if (!chosen.length) { out.textContent = ""; return; }
    const yen = chosen.filter((row) => row.dataset.currency === "JPY").reduce((sum, row) => sum + Number(row.dataset.amount), 0);
    out.textContent = table.dataset.selected.replace("%n", String(chosen.length)).replace("%amount", "¥" + yen.toLocaleString("en-US"));
  };
  table?.addEventListener("change", total);
  window.addEventListener("pageshow", total);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
    if (typing) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
    else if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at - 1);
    else if (event.key === "x" && rows[at]) { const box = rows[at].querySelector(".tick input"); if (box) { box.checked = !box.checked; total(); } }
    else if (event.key === "Enter" && rows[at] && !event.target.closest?.("a, button, summary")) { rows[at].querySelector("a.open")?.click(); }
  });
})();
