// What goes wrong at the bank, and how the shopper gets on with it: every refusal in their language, the same checkout goes on.
import assert from "node:assert/strict";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

/** What to do next, by card. */
const NEXT = {
  "4123111111111000": "otherCard", "4123111111111018": "otherCard", "4123111111111034": "checkCard", "4123111111111042": "otherCard",
  "4123111111111059": "otherCard", "4123111111111067": "checkCard", "4123111111111075": "checkCard", "4123111111111083": "otherMethod",
};

for (const cell of [{ locale: "ja", device: "phone" }, { locale: "en", device: "desktop" }]) {
  story("every refusal is explained and the same checkout takes another card", world, cell, async function refusals(her) {
    const { page, demo, words } = her;
    await her.buy();
    for (const [number, next] of Object.entries(NEXT)) {
      await her.payByCard(number);
      await her.refused(words.declines[number], words.notCharged, words[next]);
      assert.equal(new URL(page.url()).pathname, new URL(her.session).pathname);
      await her.shot(`refused-${number.slice(-3)}`);
    }
    assert.ok((await demo.books(her.number)).every((payment) => payment.captured === 0), "nothing was taken so far");
    await her.payByCard("4242424242424242");
    await her.paid();
    await her.shot("paid");
  });

  story("what is mistyped is said beside the field and sent nowhere", world, cell, async function mistyped(her) {
    const { page, demo, words } = her;
    await her.buy();
    const before = her.requests.length;
    await her.payByCard("4111111111111112", { expiry: "01/20", cvc: "1", name: "" });
    await page.getByText(words.checkNumber).waitFor();
    await page.getByText(words.fillIn).waitFor();
    assert.ok(await page.getByLabel(words.cardNumber).evaluate((input) => input === document.activeElement && input.getAttribute("aria-invalid") === "true"), "the first wrong field has the focus");
    await her.shot("said-beside");
    assert.deepEqual(her.requests.slice(before).filter(({ method }) => method === "POST"), [], "nothing was sent");
    await her.payByCard("4111111111111111");
    await her.paid();
    assert.equal((await demo.books(her.number)).length, 1);
  });

  story("3-D Secure: without a question", world, cell, async function frictionless(her) {
    await her.buy();
    await her.payByCard("4100000000000100");
    await her.paid();
  });

  story("3-D Secure: the bank asks inside our page; a wrong answer costs nothing", world, cell, async function challenge(her) {
    const { page, demo, words } = her;
    const answer = async (password) => {
      await page.waitForURL(`${demo.hub}/sessions/*/authenticate`);
      await page.getByRole("heading", { level: 1, name: words.bankCheck }).waitFor();
      const bank = page.frameLocator(`iframe[title="${words.bankFrame}"]`);
      await bank.getByLabel(words.bankPassword).fill(password);
      await her.shot("bank-asks");
      await bank.getByRole("button", { name: words.bankConfirm }).click();
    };
    await her.buy();
    await her.payByCard("4100000000300005");
    await answer("123456");
    await her.refused(words.bankFailed, words.notCharged, words.otherCard);
    await her.shot("refused");
    await her.payByCard("4100000000500000");
    await her.refused(words.bankFailed, words.notCharged, words.otherCard);
    await her.payByCard("4100000000005000");
    await answer("000000");
    await her.refused(words.bankFailed, words.notCharged, words.otherCard);
    await her.payByCard("4100000000005000");
    await answer("123456");
    await her.paid();
    await her.shot("paid");
  });
}
