// The card form. The number goes from here straight to the provider's token endpoint; only the token is posted to us.
(() => {
  "use strict";
  const form = document.getElementById("card-form");
  if (!form) return;
  const $ = (id) => document.getElementById(id);
  const number = $("card-number"), expiry = $("card-expiry"), cvc = $("card-cvc"), holder = $("card-name");
  const button = form.querySelector("button[type=submit]");
  const token = form.elements.namedItem("token");
  const alertBox = $("error");
  const msg = form.dataset;
  const buttonText = button.textContent;
  const digits = (text) => text.normalize("NFKC").replace(/\D/g, "");

  const BRANDS = [
    ["american_express", "American Express", /^3[47]/, [15], 4],
    ["diners_club", "Diners Club", /^3(0[0-5]|095|[689])/, [14, 16], 3],
    ["jcb", "JCB", /^35(2[89]|[3-8])/, [16], 3],
    ["visa", "Visa", /^4/, [13, 16, 19], 3],
    ["master", "Mastercard", /^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/, [16], 3],
    ["discover", "Discover", /^6(011|4[4-9]|5)/, [16, 19], 3],
  ].map(([slug, name, start, lengths, code]) => ({ slug, name, start, lengths, code }));
  const brandOf = (n) => BRANDS.find((brand) => brand.start.test(n));
  const accepted = (msg.brands || "").split(",").filter(Boolean);

  // The brand is told in words beside the number, for everybody.
  const wrap = document.createElement("div");
  wrap.className = "number-wrap";
  number.replaceWith(wrap);
  const tag = document.createElement("span");
  tag.className = "brand-tag";
  tag.hidden = true;
  wrap.append(number, tag);

  const luhn = (n) => {
    let sum = 0;
    for (let i = 0; i < n.length; i++) {
      let d = Number(n[n.length - 1 - i]);
      if (i % 2) { d *= 2; if (d > 9) d -= 9; }
      sum += d;
    }
    return sum % 10 === 0;
  };

  /** Rewrites an input while it is typed in, keeping the caret behind the same digit. */
  const reformat = (input, format) => {
    const before = digits(input.value.slice(0, input.selectionStart ?? input.value.length)).length;
    const atEnd = input.selectionStart === input.value.length;
    const text = format(digits(input.value));
    if (text === input.value) return;
    input.value = text;
    if (atEnd || document.activeElement !== input) return;
    let caret = 0;
    for (let seen = 0; caret < text.length && seen < before; caret++) if (/\d/.test(text[caret])) seen++;
    input.setSelectionRange(caret, caret);
  };
  const groups = (n) => {
    const four = brandOf(n)?.slug === "american_express" || (brandOf(n)?.slug === "diners_club" && n.length <= 14)
      ? [n.slice(0, 4), n.slice(4, 10), n.slice(10, 15)]
      : n.slice(0, 19).match(/.{1,4}/g) || [];
    return four.filter(Boolean).join(" ");
  };
  number.addEventListener("input", (event) => {
    if (event.isComposing) return;
    reformat(number, groups);
    const brand = brandOf(digits(number.value));
    tag.hidden = !brand;
    tag.textContent = brand ? brand.name : "";
    cvc.placeholder = brand?.code === 4 ? "1234" : "123";
  });
  expiry.addEventListener("input", (event) => {
    if (event.isComposing || event.inputType?.startsWith("delete")) return;
    if (/^\d\s*[/.-]$/.test(expiry.value)) { expiry.value = "0" + expiry.value[0] + "/"; return; } // "4/" means April
    reformat(expiry, (n) => {
      if (/^[2-9]/.test(n)) n = "0" + n;
      if (n.length > 4) n = n.slice(0, 2) + n.slice(-2); // 04/2029, as some browsers fill it
      return n.length >= 2 ? n.slice(0, 2) + "/" + n.slice(2) : n;
    });
  });
  cvc.addEventListener("input", (event) => { if (!event.isComposing) reformat(cvc, (n) => n.slice(0, 4)); });

  const readExpiry = () => {
    const found = expiry.value.normalize("NFKC").match(/^\s*(\d{1,2})\s*[/\-. ]?\s*(\d{2}|\d{4})\s*$/);
    if (!found) return null;
    const month = Number(found[1]), year = Number(found[2]) % 100 + 2000;
    return month >= 1 && month <= 12 ? { month, year } : null;
  };
  const CHECKS = new Map([
    [number, () => {
      const n = digits(number.value);
      if (!n) return msg.msgRequired;
      const brand = brandOf(n);
      if (n.length < 12 || n.length > 19 || !luhn(n) || (brand && !brand.lengths.includes(n.length))) return msg.msgNumber;
      return brand && accepted.length && !accepted.includes(brand.slug) ? msg.msgBrand : "";
    }],
    [expiry, () => {
      if (!expiry.value.trim()) return msg.msgRequired;
      const date = readExpiry();
      if (!date) return msg.msgExpiry;
      const [year, month] = [Number(msg.year), Number(msg.month)];
      return date.year < year || (date.year === year && date.month < month) ? msg.msgExpired : "";
    }],
    [cvc, () => {
      const n = digits(cvc.value), brand = brandOf(digits(number.value));
      if (!n) return msg.msgRequired;
      return n.length !== (brand ? brand.code : n.length === 4 ? 4 : 3) ? msg.msgCvc : "";
    }],
    [holder, () => (holder.value.trim() ? "" : msg.msgRequired)],
  ]);
  const show = (input, text) => {
    const field = input.closest(".field");
    field.classList.toggle("bad", Boolean(text));
    field.querySelector(".err").textContent = text;
    if (text) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    return !text;
  };
  for (const [input, check] of CHECKS) {
    // Only what was filled in is judged on leaving it; an error goes away while it is being mended.
    input.addEventListener("blur", () => { if (input.value) show(input, check()); });
    input.addEventListener("input", () => { if (input.hasAttribute("aria-invalid") && !check()) show(input, ""); });
  }

  const explain = (code) => {
    const all = [...document.querySelectorAll("template[data-error]")];
    const found = all.find((t) => t.dataset.error === code) || all.find((t) => t.dataset.error === "token_unreachable");
    alertBox.replaceChildren(found.content.cloneNode(true));
    alertBox.scrollIntoView({ block: "center" });
    alertBox.focus({ preventScroll: true });
  };
  let busy = false;
  const setBusy = (on) => {
    busy = on;
    button.disabled = on;
    button.textContent = on ? msg.busy : buttonText;
    form.setAttribute("aria-busy", String(on));
  };

  form.addEventListener("submit", async (event) => {
    if (token.value && busy) return; // our own submit, below
    event.preventDefault();
    if (busy) return;
    const wrong = [...CHECKS].filter(([input, check]) => !show(input, check()));
    if (wrong.length) { wrong[0][0].focus(); return; }
    alertBox.replaceChildren();
    setBusy(true);
    const { month, year } = readExpiry();
    const details = { type: "credit_card", number: digits(number.value), month, year, verification_value: digits(cvc.value), name: holder.value.trim().toUpperCase() };
    try {
      const reply = await fetch(msg.tokenUrl, {
        method: "POST",
        mode: "cors",
        credentials: "omit",
        referrerPolicy: "strict-origin",
        headers: { "content-type": "application/json", accept: "application/json", authorization: "Basic " + btoa(msg.publishableKey + ":") },
        body: JSON.stringify({ payment_details: details }),
        signal: AbortSignal.timeout(20000),
      });
      const body = await reply.json();
      if (!reply.ok || body.error || !/^tok_/.test(String(body.id))) {
        setBusy(false);
        explain(body.error?.code || "other_invalid");
        return;
      }
      token.value = body.id;
    } catch {
      setBusy(false);
      explain("token_unreachable");
      return;
    }
    // Nothing of the card outlives this: a page kept by the browser for the back button must not hold it.
    number.value = cvc.value = "";
    HTMLFormElement.prototype.submit.call(form);
  });

  window.addEventListener("pageshow", (event) => {
    if (event.persisted) { token.value = ""; tag.hidden = true; setBusy(false); }
  });
  form.querySelector(".needs-js")?.remove();
  token.value = "";
  button.disabled = false;
})();
