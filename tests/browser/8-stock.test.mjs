// What is in stock: the last one goes to whoever pays first, and nobody else is charged.
import assert from "node:assert/strict";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

for (const cell of [{ locale: "ja", device: "phone" }, { locale: "en", device: "desktop" }]) {
  story("the last one goes to whoever pays first", world, cell, async function lastOne(her) {
    const { page, demo, words } = her;
    const { free } = await demo.api("/stock/hojicha");
    if (free !== 1) await demo.api("/stock/hojicha", { change: 1 - free });
    await page.goto(demo.shop + "/");
    await page.getByText(words.lastLeft).waitFor();
    await her.shot("shelf");
    await her.buy("hojicha");

    // Somebody else is at the checkout too, and faster.
    const wish = { amount: 1200, currency: "JPY", line_items: [{ sku: "hojicha", quantity: 1 }] };
    const { id } = await demo.api("/sessions", wish);
    const card = { type: "credit_card", number: "4111111111111111", month: 12, year: 2039, verification_value: "123", name: "TARO" };
    const paid = await demo.api(`/sessions/${id}/pay`, { payment_details: card });
    assert.equal(paid.status, "completed");

    await her.payByCard("4111111111111111");
    await her.refused(words.outOfStock, words.notCharged, words.askTheShop);
    await her.accessible("a checkout of what is gone");
    await her.shot("gone");
    assert.deepEqual(await demo.books(her.number), [], "nothing was asked of the provider");

    await page.goto(demo.shop + "/");
    const tea = page.locator("li", { has: page.getByRole("heading", { name: words.hojicha }) });
    await tea.getByText(words.soldOut).waitFor();
    assert.ok(await tea.getByRole("button", { name: words.buy }).isDisabled());
    await her.accessible("a shelf with something sold out");
    await her.shot("sold-out");
    const { held, sold } = await demo.api("/stock/hojicha");
    assert.equal(held, 0, "nothing stays held");
    assert.ok(sold >= 1);
  });
}
