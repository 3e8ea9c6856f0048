// A stranger with a browser. Whatever they do, some things must hold on every page they see; they are checked here, for every
// test: nothing leaves this machine, no policy is violated, no card number reaches the hub, no markup carries code.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Demo } from "./demo.mjs";
import { WORDS } from "./words.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const SHOTS = join(HERE, "../shots");
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];

const DEVICES = {
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  desktop: { viewport: { width: 1280, height: 900 } },
};
const LOCALES = { ja: "ja-JP", en: "en-US" };

/** Both languages, both devices. */
export const MATRIX = Object.keys(LOCALES).flatMap((locale) => Object.keys(DEVICES).map((device) => ({ locale, device })));

async function openBrowser() {
  const executablePath = [process.env.CHROMIUM_BIN, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("Chromium is not installed (apt-get install chromium)");
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({ executablePath, args: ARGS });
}

/** A test about one visit: what it leaves open is closed, what must hold of every visit is checked at its end. */
export function story(name, world, cell, visit) {
  test(`${name} (${Object.values(cell).filter((word) => typeof word === "string").join(", ")})`, async () => {
    const her = await Stranger.arrive(world.browser, world.demo, visit.name, cell);
    try {
      await visit(her);
    } catch (error) {
      await her.page.screenshot({ path: join(SHOTS, `${her.story}-failed.png`) }).catch(() => {});
      const text = await her.page.innerText("body", { timeout: 1_000 }).catch(() => "");
      await her.context.close();
      throw new Error(`${error.message}\nat ${her.page.url()}: ${text.slice(0, 800)}\n${her.troubles.join("\n")}`, { cause: error });
    }
    for (const number of her.numbers) world.numbers.add(number);
    await her.leave();
  });
}

/** One demo and one browser for the tests of a file; what the demo wrote is searched for card numbers when all are done. */
export function aWorld(...extra) {
  const world = { numbers: new Set() };
  before(async () => { [world.browser, world.demo] = await Promise.all([openBrowser(), Demo.start(...extra)]); });
  after(async () => {
    await world.browser?.close();
    await world.demo?.stop(() => noTraceOf(world.numbers, world.demo));
  });
  return world;
}

export class Stranger {
  /** Someone with a fresh browser profile. `story` names the screenshots. */
  static async arrive(browser, demo, story, { locale = "ja", device = "phone", ...options } = {}) {
    const context = await browser.newContext({
      ...DEVICES[device], locale: LOCALES[locale], timezoneId: "Asia/Tokyo", reducedMotion: "reduce", ...options,
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    return new Stranger(context, page, demo, `${story}-${locale}-${device}`, locale);
  }

  constructor(context, page, demo, story, locale) {
    Object.assign(this, { context, page, demo, story, locale });
    this.words = WORDS[locale];
    this.step = 0;
    /** Card numbers typed so far, this visit. */
    this.numbers = new Set();
    this.requests = [];
    this.troubles = [];
    /** Console errors a test brings about on purpose. */
    this.expected = [];
    context.on("request", (request) => this.requests.push({ url: request.url(), method: request.method(), body: request.postData() ?? "", headers: request.headers() }));
    context.on("console", (message) => { if (message.type() === "error") this.troubles.push(`${message.location().url}: ${message.text()}`); });
    context.on("weberror", (error) => this.troubles.push(String(error.error())));
  }

  /** Keeps what is seen, and checks what must hold of every page. */
  async shot(name, { fullPage = true } = {}) {
    const { page } = this;
    await page.waitForLoadState();
    await page.evaluate(() => document.fonts.ready);
    const file = `${this.story}-${String(++this.step).padStart(2, "0")}-${name}.png`;
    await page.screenshot({ path: join(SHOTS, file), fullPage, animations: "disabled" });
    const seen = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title,
      text: document.body.innerText,
      tooWide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      inline: [...document.querySelectorAll("*")].filter((e) => (e.localName === "script" && !e.src) || e.localName === "style"
        || (e.getAttribute("style") ?? "") !== "" || [...e.attributes].some((a) => a.name.startsWith("on"))).map((e) => e.outerHTML.slice(0, 200)),
    }));
    assert.ok(seen.title.trim(), `${page.url()} has a title`);
    assert.equal(seen.lang, this.locale, `${page.url()} says which language it is in`);
    assert.ok(!seen.text.includes("⟦") && !/[{}]|undefined|null/.test(seen.text.replace(/"[^"]*"|\{[^}]*\}/g, "")) || page.url().includes("/docs") || page.url().includes("/shop/payments/"), `${page.url()} is written out: ${seen.text}`);
    assert.ok(!seen.tooWide, `${page.url()} does not scroll sideways`);
    assert.deepEqual(seen.inline, [], `${page.url()} has no inline script or style`);
  }

  /** axe-core finds nothing serious. */
  async accessible(what) {
    const frame = this.page.mainFrame();
    await frame.evaluate(AXE);
    const found = await frame.evaluate(async () => {
      const result = await window.axe.run(document, { iframes: false, resultTypes: ["violations"] });
      return result.violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map((n) => n.html.slice(0, 160) + " " + (n.failureSummary ?? "")) }));
    });
    const bad = found.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(bad, [], `${what} is accessible`);
  }

  /** From the shelf to the checkout. Gives the order's number. */
  async buy(tea = "hojicha") {
    const { page, demo, words } = this;
    await page.goto(demo.shop + "/");
    await page.locator("li", { has: page.getByRole("heading", { name: words[tea] }) }).getByRole("button", { name: words.buy }).click();
    await page.waitForURL(`${demo.hub}/sessions/*`);
    this.session = page.url();
    const id = new URL(page.url()).pathname.split("/").pop();
    this.number = (await demo.json(`${demo.shop}/orders.json`)).find((order) => order.session === id).number;
    return this.number;
  }

  async choose(method) {
    await this.page.getByRole("radio", { name: this.words.methods[method] }).check();
  }

  async fillCard(number, { expiry = "12/39", cvc = "123", name = "Hanako Yamada" } = {}) {
    const { page, words } = this;
    this.numbers.add(number);
    await page.getByLabel(words.cardNumber).fill(number);
    await page.getByLabel(words.cardExpiry).fill(expiry);
    await page.getByLabel(words.cardCode).fill(cvc);
    await page.getByLabel(words.cardName).fill(name);
  }

  /** The one button of the method that is open. */
  payButton() {
    return this.page.locator("form.fields:visible").getByRole("button");
  }

  /** Chooses a store and says who pays there. */
  async chooseStore(store) {
    const { page, words } = this;
    const field = (name) => page.getByLabel(name, { exact: true }).and(page.locator(":visible"));
    await this.choose("konbini");
    await page.getByRole("radio", { name: words.stores[store] }).check();
    await field(words.familyName).fill("山田");
    await field(words.givenName).fill("花子");
    await field(words.email).fill("hanako@example.jp");
  }

  /** The number on the slip, as one would say it at the till. */
  async slipNumber(store) {
    const { page, words } = this;
    await page.waitForURL(`${this.demo.hub}/instructions/*`);
    await page.getByRole("heading", { level: 1, name: words.slips[store] }).waitFor();
    const shown = page.locator(".numbers div", { hasText: words.numbers[store] }).locator("dd > span");
    return (await shown.innerText()).replace(/\D/g, "");
  }

  /** Pays a slip at the sandbox's counter, in another tab. */
  async payAtTheTill(number) {
    const till = await this.context.newPage();
    await till.goto(`${this.demo.sandbox}/counter?locale=${this.locale}`);
    await till.getByRole("row", { name: number }).getByRole("button", { name: this.words.counterPay }).click();
    await till.getByRole("status").filter({ hasText: this.words.counterPaid }).waitFor();
    await till.close();
  }

  async payByCard(number, details) {
    await this.choose("credit_card");
    await this.fillCard(number, details);
    await this.payButton().click();
  }

  /** The banner that says what went wrong, whether money moved, and what to do next. */
  async refused(...sentences) {
    const banner = this.page.getByRole("alert").filter({ hasText: sentences[0] });
    await banner.waitFor();
    const text = await banner.innerText();
    for (const sentence of sentences) assert.ok(text.includes(sentence), `"${sentence}" in: ${text}`);
  }

  /** Back at the shop: the order is paid, and says which notification told it so. */
  async paid() {
    const { page, demo, words } = this;
    await page.waitForURL(`${demo.shop}/orders/${this.number}**`);
    await page.getByRole("heading", { level: 1, name: words.orderPaid }).waitFor();
    await page.getByText(words.paidChip, { exact: true }).waitFor();
    const line = page.getByRole("listitem").filter({ hasText: "payment.captured" }).filter({ hasText: words.signature });
    await line.waitFor();
    const payments = await demo.books(this.number);
    const took = payments.filter((payment) => payment.captured > 0);
    assert.equal(took.length, 1, `the provider took money once: ${JSON.stringify(payments)}`);
  }

  /** Nothing may have gone wrong on the way; then the profile is thrown away. */
  async leave() {
    const { demo } = this;
    await this.context.close();
    const hosts = this.requests.map(({ url }) => new URL(url)).filter(({ protocol }) => !["data:", "blob:", "about:"].includes(protocol));
    assert.deepEqual(hosts.filter(({ hostname }) => hostname !== "127.0.0.1").map(String), [], "nothing leaves this machine");
    for (const number of this.numbers) {
      const spaced = number.replace(/(.{4})(?=.)/g, "$1 ");
      const told = this.requests.filter(({ url, body, headers }) => !url.startsWith(demo.sandbox + "/api/v1/tokens")
        && [number, spaced, encodeURIComponent(spaced)].some((text) => (url + body + JSON.stringify(headers)).includes(text)));
      assert.deepEqual(told, [], "a card number goes to the provider's token endpoint and nowhere else");
    }
    const troubles = this.troubles.filter((text) => !this.expected.some((known) => known.test(text)));
    assert.deepEqual(troubles, [], "no policy was violated and no script failed");
  }
}

/** No card number may be found in anything the demo wrote. */
function noTraceOf(numbers, demo) {
  const written = demo.written();
  assert.ok(written.length > 3, "the demo left its files");
  for (const number of numbers) {
    const traces = [number, number.replace(/(.{4})(?=.)/g, "$1 "), number.replace(/(.{4})(?=.)/g, "$1-")];
    for (const [where, bytes] of written) {
      for (const trace of traces) assert.ok(!bytes.includes(trace), `${trace.slice(0, 4)}…${trace.slice(-4)} is in ${where}`);
    }
  }
}
