// One order, one charge, whatever the browser's buttons are used for.
import assert from "node:assert/strict";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();
const cell = { locale: "ja", device: "phone" };

async function chargedOnce(her) {
  const payments = await her.demo.books(her.number);
  assert.deepEqual(payments.filter(({ captured }) => captured > 0).map(({ captured, refunded }) => captured - refunded), [1200], JSON.stringify(payments));
}

story("a double click pays once", world, cell, async function doubleClick(her) {
  await her.buy();
  await her.choose("credit_card");
  await her.fillCard("4111111111111111");
  await her.payButton().dblclick();
  await her.paid();
  await chargedOnce(her);
});

story("a double click without JavaScript makes one slip", world, { ...cell, javaScriptEnabled: false }, async function doubleSlip(her) {
  await her.buy();
  await her.chooseStore("lawson");
  await her.payButton().dblclick();
  await her.slipNumber("lawson");
  assert.equal((await her.demo.books(her.number)).length, 1);
});

story("Back after paying finds the receipt, not the till", world, cell, async function back(her) {
  const { page, words } = her;
  await her.buy();
  await her.payByCard("4111111111111111");
  await her.paid();
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: words.completed }).waitFor();
  await her.shot("completed");
  assert.equal(await page.locator("form.fields").count(), 0, "there is nothing to pay with");
  await page.getByRole("link", { name: words.returnTo }).click();
  await her.paid();
  await chargedOnce(her);
});

story("a checkout left open in another tab cannot charge again", world, cell, async function stale(her) {
  const { page, words } = her;
  await her.buy();
  const other = await her.context.newPage();
  await other.goto(her.session);
  await her.payByCard("4111111111111111");
  await her.paid();
  her.page = other;
  await her.payByCard("4242424242424242");
  await other.getByRole("heading", { level: 1, name: words.completed }).waitFor();
  her.page = page;
  await chargedOnce(her);
  assert.equal((await her.demo.books(her.number)).length, 1, "the second card was not even asked");
});
