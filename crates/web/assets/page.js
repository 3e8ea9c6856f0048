// Small comforts every page shares: copying numbers, printing, and a form that is sent once.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const text = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = button.dataset.done;
        button.classList.add("done");
        setTimeout(() => { button.textContent = text; button.classList.remove("done"); }, 2000);
      } catch { /* The number is on the page: it can be copied by hand. */ }
    });
  }

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  // A second press while the first is on its way would be harmless (the attempt number is used once) but confusing.
  const sent = new Map();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-once") || event.defaultPrevented) return;
    const button = form.querySelector("button[type=submit]");
    if (sent.has(form)) { event.preventDefault(); return; }
    sent.set(form, button.textContent);
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.busy || button.textContent;
  });
  // Coming back with the browser's button restores the page as it was left: busy. Make it usable again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const [form, text] of sent) {
      const button = form.querySelector("button[type=submit]");
      button.removeAttribute("aria-disabled");
      button.textContent = text;
    }
    sent.clear();
  });

  // The button names the amount that is typed beside it.
  for (const input of document.querySelectorAll("[data-amount-of]")) {
    const button = document.getElementById(input.dataset.amountOf);
    input.addEventListener("input", () => {
      const amount = Number.parseInt(input.value, 10);
      if (amount > 0) button.textContent = input.dataset.template.replace("%amount", "¥" + amount.toLocaleString("en-US"));
    });
  }
})();
