// Whoever it is: without JavaScript, without a mouse, on the narrowest phone, with a screen reader.
import assert from "node:assert/strict";
import { until } from "./lib/demo.mjs";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

story("without JavaScript a slip and a wallet pay, and the card says why it does not", world, { locale: "ja", device: "phone", javaScriptEnabled: false }, async function noScript(her) {
  const { page, demo, words } = her;
  await her.buy();
  await her.choose("credit_card");
  await page.getByText(words.needsScript).waitFor();
  assert.ok(await her.payButton().isDisabled());
  await her.shot("card");
  await her.chooseStore("seven-eleven");
  await her.payButton().click();
  const number = await her.slipNumber("seven-eleven");
  await her.shot("slip");
  await her.payAtTheTill(number);
  const paid = page.getByText(words.slipPaid);
  const refresh = page.getByRole("link", { name: words.refresh });
  await until("the slip is paid", async () => {
    if (await refresh.isVisible()) await refresh.click();
    await page.waitForLoadState();
    return paid.isVisible();
  });
  await her.shot("slip-paid");

  await her.buy("matcha");
  await her.choose("paypay");
  await her.payButton().click();
  await page.getByRole("button", { name: words.sandboxPay }).click();
  await page.getByRole("heading", { level: 1, name: words.orderPaid }).waitFor();
  await until("the notification is listed", async () => { await page.reload(); return page.getByText("payment.captured").isVisible(); });
  await her.paid();
  await her.shot("wallet-paid");
});

/** Presses Tab until it is there, and sees where it is. */
async function tabTo(her, target, key = "Tab") {
  for (let presses = 0; presses < 80; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) {
      const shown = await target.evaluate((element) => {
        for (let at = element; at; at = at.parentElement) {
          const { outlineStyle, outlineWidth } = getComputedStyle(at);
          if (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) return true;
        }
        return false;
      });
      assert.ok(shown, `one sees that the focus is on ${await target.evaluate((element) => element.outerHTML.slice(0, 120))}`);
      return;
    }
    await her.page.keyboard.press(key);
  }
  assert.fail("the keyboard does not get there");
}

story("a card is paid with the keyboard alone", world, { locale: "en", device: "desktop" }, async function keyboardCard(her) {
  const { page, demo, words } = her;
  await page.goto(demo.shop);
  await tabTo(her, page.getByRole("button", { name: words.buy }).first());
  await page.keyboard.press("Enter");
  await page.waitForURL(`${demo.hub}/sessions/*`);
  const id = new URL(page.url()).pathname.split("/").pop();
  her.number = (await demo.json(`${demo.shop}/orders.json`)).find((order) => order.session === id).number;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.hash), "#main", "the first stop skips to the content");
  await tabTo(her, page.getByRole("radio", { name: words.methods.credit_card }));
  await her.shot("focus-on-method");
  her.numbers.add("4111111111111111");
  for (const [label, text] of [[words.cardNumber, "4111111111111111"], [words.cardExpiry, "1239"], [words.cardCode, "123"], [words.cardName, "Hanako Yamada"]]) {
    await tabTo(her, page.getByLabel(label));
    await page.keyboard.type(text);
  }
  assert.equal(await page.getByLabel(words.cardNumber).inputValue(), "4111 1111 1111 1111");
  await tabTo(her, her.payButton());
  await her.shot("focus-on-button");
  await page.keyboard.press("Enter");
  await her.paid();
});

story("a wallet is chosen with the arrow keys", world, { locale: "ja", device: "desktop" }, async function keyboardWallet(her) {
  const { page, demo, words } = her;
  await her.buy();
  await tabTo(her, page.getByRole("radio", { name: words.methods.credit_card }));
  await tabTo(her, page.getByRole("radio", { name: words.methods.paypay }), "ArrowDown");
  await tabTo(her, her.payButton());
  await page.keyboard.press("Enter");
  await page.waitForURL(`${demo.sandbox}/offsite/*`);
  await tabTo(her, page.getByRole("button", { name: words.sandboxPay }));
  await page.keyboard.press("Enter");
  await her.paid();
});

for (const look of [{ locale: "ja", device: "phone" }, { locale: "en", device: "desktop" }, { locale: "ja", device: "desktop", colorScheme: "dark" }, { locale: "ja", device: "phone", viewport: { width: 320, height: 640 } }]) {
  story(`nothing stands in a screen reader's way${look.colorScheme ? ", in the dark" : ""}${look.viewport ? ", at 320 pixels" : ""}`, world, look, async function reader(her) {
    const { page, demo, words } = her;
    her.story += look.colorScheme ?? (look.viewport ? "-320" : "");
    await page.goto(demo.shop);
    await her.accessible("the shelf");
    await her.shot("shelf");
    await her.buy();
    await her.accessible("the checkout");
    for (const method of ["bank_transfer", "pay_easy", "paypay"]) {
      await her.choose(method);
      await her.accessible(`the checkout, ${method}`);
    }
    await her.shot("wallet");
    await her.payByCard("4123111111111059");
    await her.refused(words.declines["4123111111111059"]);
    await her.accessible("a refusal");
    await her.shot("refusal");
    await her.payByCard("4100000000005000");
    await page.waitForURL(`${demo.hub}/sessions/*/authenticate`);
    await page.frameLocator("iframe").getByLabel(words.bankPassword).waitFor();
    await her.accessible("the bank's check");
    await her.shot("bank");
    await page.goto(her.session);
    await her.chooseStore("seven-eleven");
    await her.accessible("the checkout, konbini");
    await her.shot("konbini");
    await her.payButton().click();
    const number = await her.slipNumber("seven-eleven");
    await her.accessible("the slip");
    await her.shot("slip");
    await page.getByRole("link", { name: words.returnTo }).click();
    await page.getByRole("heading", { level: 1, name: words.orderWaiting }).waitFor();
    await her.accessible("the order, waiting");
    await her.shot("order-waiting");
    await page.getByRole("link", { name: words.howToPay }).click();
    await her.slipNumber("seven-eleven");
    await her.payAtTheTill(number);
    await page.getByText(words.slipPaid).waitFor();
    await her.accessible("the slip, paid");
    await page.getByRole("link", { name: words.returnTo }).click();
    await her.paid();
    await her.accessible("the order, paid");
    await page.goto(`${demo.shop}/orders`);
    await her.accessible("the orders");
    await her.shot("orders");
  });
}
