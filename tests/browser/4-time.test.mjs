// Deadlines, met by moving the clock as an operator does.
import assert from "node:assert/strict";
import { until } from "./lib/demo.mjs";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

story("an old checkout says so and takes no money", world, { locale: "ja", device: "phone" }, async function oldCheckout(her) {
  const { page, demo, words } = her;
  await her.buy();
  await demo.advance("2d");
  await her.payByCard("4111111111111111");
  await page.getByRole("heading", { level: 1, name: words.expired }).waitFor();
  await page.getByText(words.notCharged).waitFor();
  await her.accessible("the expired page");
  await her.shot("expired");
  await page.getByRole("link", { name: words.returnTo }).click();
  await page.getByRole("heading", { level: 1, name: words.orderUnpaid }).waitFor();
  await her.shot("order");
  assert.deepEqual(await demo.books(her.number), [], "nothing was asked of the provider");
});

story("a slip that was not paid in time turns by itself", world, { locale: "en", device: "desktop" }, async function oldSlip(her) {
  const { page, demo, words } = her;
  await her.buy();
  await her.chooseStore("lawson");
  await her.payButton().click();
  const number = await her.slipNumber("lawson");
  await demo.advance("4d");
  await page.getByText(words.slipOver).waitFor({ timeout: 20_000 });
  await page.getByText(words.expiredChip).first().waitFor();
  await her.shot("slip-over");
  await until("the shop was told", async () => (await demo.order(her.number)).status === "expired");
  await page.getByRole("link", { name: words.returnTo }).click();
  await page.getByRole("heading", { level: 1, name: words.orderUnpaid }).waitFor();
  await her.shot("order");
  const reply = await fetch(`${demo.sandbox}/counter?locale=en`, { method: "POST", body: new URLSearchParams({ number }) });
  assert.match(await reply.text(), /cannot be paid/, "the till takes no money for it any more");
});
