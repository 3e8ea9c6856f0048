// The clerk: what happened to a payment, money back, notifications. And the developer: the reference, offline.
import assert from "node:assert/strict";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

for (const cell of [{ locale: "ja", device: "desktop" }, { locale: "en", device: "phone" }]) {
  story("a clerk reads the timeline and gives a part back", world, cell, async function clerk(her) {
    const { page, demo, words } = her;
    await her.buy("sencha");
    await her.payByCard("4111111111111111");
    await her.paid();
    await page.getByRole("link", { name: words.timeline }).click();
    await page.getByLabel(words.user).waitFor();
    await her.accessible("the sign-in page");
    await her.shot("sign-in");
    await page.getByLabel(words.user).fill(demo.ready.shop_admin.user);
    await page.getByLabel(words.password).fill(demo.ready.shop_admin.password);
    await page.getByRole("button", { name: words.signIn }).click();
    await page.waitForURL(`${demo.hub}/shop/payments/*`);
    assert.match(await page.getByRole("heading", { level: 1 }).innerText(), /¥1,980/);
    for (const happening of words.happened) await page.getByText(happening, { exact: true }).first().waitFor();
    await page.getByText("payment.captured").first().waitFor();
    assert.ok(!(await page.content()).includes("4111111111111111"));
    await her.accessible("a payment in the office");
    await her.shot("timeline");

    await page.getByLabel(words.refundAmount).fill("500");
    await page.getByRole("button", { name: words.refund("¥500") }).click();
    await page.getByText(words.warning).waitFor();
    assert.deepEqual((await demo.books(her.number)).map(({ refunded }) => refunded), [0], "asking is not doing");
    await her.accessible("the confirmation");
    await her.shot("confirm");
    await page.getByRole("button", { name: words.refund("¥500") }).click();
    await page.getByText(words.refundDone("¥500")).waitFor();
    await page.getByText(words.partly).first().waitFor();
    await her.shot("refunded");
    assert.deepEqual((await demo.books(her.number)).map(({ refunded }) => refunded), [500]);

    await page.getByRole("navigation").getByRole("link", { name: words.deliveries }).click();
    await page.getByRole("row", { name: /payment\.captured/ }).filter({ hasText: words.delivered }).first().waitFor();
    await her.accessible("the notifications");
    await her.shot("deliveries");
    for (const place of ["", "/payments"]) {
      await page.goto(`${demo.hub}/shop${place}`);
      await her.accessible(`the office, ${place || "today"}`);
      await her.shot(place ? "payments" : "today");
    }
  });

  story("the reference is read offline", world, cell, async function docs(her) {
    const { page, demo, words } = her;
    await page.goto(`${demo.hub}/docs`);
    await page.getByText(words.docs).first().waitFor();
    await page.getByText("/api/v1/sessions").first().waitFor();
    assert.ok(await page.getByText("curl").count() > 5, "with calls to copy");
    await her.accessible("the reference");
    await her.shot("reference", { fullPage: false }); // It is some 40,000 pixels long.
  });
}
