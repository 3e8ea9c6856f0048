// What nearly everybody does: buy tea and pay for it, with a card, at a convenience store, with a wallet.
import assert from "node:assert/strict";
import { until } from "./lib/demo.mjs";
import { MATRIX, aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

for (const cell of MATRIX) {
  story("a card pays for tea", world, cell, async function card(her) {
    const { page, demo, words } = her;
    await page.goto(demo.shop);
    await her.shot("shelf");
    await her.buy();
    await her.shot("checkout");
    assert.match(await page.getByRole("heading", { level: 1 }).innerText(), /¥1,200/);
    await her.choose("credit_card");
    await her.fillCard("4111111111111111");
    await her.shot("filled");
    assert.equal(await her.payButton().innerText(), words.pay, "the button says what it does");
    const box = await her.payButton().boundingBox();
    const { height } = page.viewportSize();
    assert.ok(cell.device === "desktop" || (box.y + box.height <= height && box.y >= 0), "the button is in reach");
    await her.payButton().click();
    await her.paid();
    await her.shot("paid");
    const timeline = page.getByRole("link", { name: words.timeline });
    assert.match(await timeline.getAttribute("href"), new RegExp(`^${demo.hub}/shop/payments/[a-z0-9]+$`));
    const order = await until("the webhook arrived", async () => { const o = await demo.order(her.number); return o.webhooks > 0 && o; });
    assert.equal(order.status, "captured");
  });

  story("a slip is paid at the counter and the page turns by itself", world, cell, async function konbini(her) {
    const { page, demo, words } = her;
    const store = (cell.locale === "ja") === (cell.device === "phone") ? "seven-eleven" : "lawson";
    await her.buy("sencha");
    await her.chooseStore(store);
    await her.shot("store-chosen");
    await her.payButton().click();
    const number = await her.slipNumber(store);
    assert.match(number, /^\d{10,14}$/, "there is a number to say at the till");
    await page.getByText(words.waitingChip).first().waitFor();
    await page.getByText(words.deadline).waitFor();
    await page.getByText(words.left).first().waitFor();
    assert.equal(await page.getByRole("figure").locator("svg").isVisible(), store === "seven-eleven", "a barcode where tills read it");
    await her.shot("slip");
    await her.payAtTheTill(number);
    await page.getByText(words.slipPaid).waitFor({ timeout: 20_000 });
    await her.shot("slip-paid");
    await until("the shop was told", async () => (await demo.order(her.number)).status === "captured");
    await page.getByRole("link", { name: words.returnTo }).click();
    await her.paid();
    await her.shot("paid");
  });

  story("a wallet pays; given up, the same checkout takes a card", world, cell, async function wallet(her) {
    const { page, demo, words } = her;
    await her.buy("matcha");
    await her.choose("paypay");
    await her.shot("wallet-chosen");
    assert.equal(await her.payButton().innerText(), words.toWallet);
    await her.payButton().click();
    await page.waitForURL(`${demo.sandbox}/offsite/*`);
    await her.shot("wallet-page");
    await page.getByRole("button", { name: words.sandboxPay }).click();
    await her.paid();
    await her.shot("wallet-paid");

    const first = her.number;
    await her.buy("matcha");
    assert.notEqual(her.number, first);
    await her.choose("paypay");
    await her.payButton().click();
    await page.waitForURL(`${demo.sandbox}/offsite/*`);
    await page.getByRole("button", { name: words.sandboxCancel }).click();
    await her.refused(words.abandoned, words.notCharged, words.chooseAgain);
    assert.equal(new URL(page.url()).pathname, new URL(her.session).pathname, "back at the same checkout");
    await her.shot("given-up");
    await her.payByCard("4111111111111111");
    await her.paid();
    await her.shot("paid-by-card");
  });
}
