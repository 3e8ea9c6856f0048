// The clerk, when our books and the provider's differ: compares them, reads what it means, follows it to the payment, notes what was done.
import assert from "node:assert/strict";
import { until } from "./lib/demo.mjs";
import { aWorld, story } from "./lib/stranger.mjs";

const world = aWorld();

const SAYS = {
  ja: {
    compare: "いま照合する", refresh: "表示を更新する", all: "すべて照合しました。", missing: "決済会社に売上がありません", toDo: /発送前なら止め/, none: "不整合はありません。",
    late: "終わった決済に入金がありました", note: "どう対応しましたか", settle: "解決済みにする", settled: "解決済み", agreed: "両方の記録が一致したため、自動で解決しました。",
    marked: "不整合を解決済みにしました。", said: "お客様に連絡し、返金しました。", nav: /^不整合/, timeline: "不整合が見つかりました",
  },
  en: {
    compare: "Compare now", refresh: "Refresh", all: "Everything was compared.", missing: "The capture is missing at the provider", toDo: /Hold the goods back/, none: "There are no discrepancies.",
    late: "A closed payment was paid", note: "What did you do about it?", settle: "Mark as settled", settled: "Settled", agreed: "Both records agree again, so it settled itself.",
    marked: "The discrepancy was marked as settled.", said: "Called the shopper and refunded it.", nav: /^Discrepancies/, timeline: "Discrepancy found",
  },
};

async function comparison(her) {
  const { page } = her;
  const says = SAYS[her.locale];
  await page.getByRole("button", { name: says.compare }).click();
  await until("the end of the comparison", async () => {
    await page.goto(`${her.demo.hub}/shop/discrepancies`);
    return page.getByText(says.all).isVisible();
  });
}

async function behindOurBack(her, payment, edit) {
  const { data } = await her.demo.json(`${her.demo.sandbox}/sandbox/books?limit=5000`);
  const there = data.find(({ number }) => number?.startsWith(payment)).payment;
  const headers = { "content-type": "application/json" };
  await her.demo.json(`${her.demo.sandbox}/sandbox/payments/${there}/edit`, { method: "POST", headers, body: JSON.stringify(edit) });
}

const card = { type: "credit_card", number: "4111111111111111", month: 12, year: 2039, verification_value: "123", name: "HANAKO" };

for (const cell of [
  { locale: "ja", device: "phone" },
  { locale: "ja", device: "desktop" },
  { locale: "en", device: "phone", javaScriptEnabled: false },
  { locale: "en", device: "desktop" },
]) {
  story("a clerk compares the books and sees to what differs", world, cell, async function books(her) {
    const { page, demo, words } = her;
    const says = SAYS[her.locale];
    const scripted = cell.javaScriptEnabled !== false;
    const look = async (name) => {
      if (!scripted) return;
      await her.accessible(name);
      await her.shot(name);
    };
    // Without scripts, what evaluates in the page still does; only the page's own do not run.
    const sale = await demo.api("/payments", { amount: 1_980, currency: "JPY", tax: 0, payment_details: card });
    const kept = await demo.api("/payments", { amount: 2_480, currency: "JPY", tax: 0, capture: false, payment_details: card });
    await demo.api(`/payments/${kept.id}/cancel`, {});
    await demo.advance("1h");

    await page.goto(`${demo.hub}/shop/discrepancies`);
    await page.getByLabel(words.user).fill(demo.ready.shop_admin.user);
    await page.getByLabel(words.password).fill(demo.ready.shop_admin.password);
    await page.getByRole("button", { name: words.signIn }).click();
    await page.waitForURL(`${demo.hub}/shop/discrepancies`);
    await look("before");
    await comparison(her);
    await page.getByText(says.none).waitFor();
    await look("all-agree");

    await behindOurBack(her, sale.id, { status: "authorized" });
    await behindOurBack(her, kept.id, { status: "captured" });
    await comparison(her);
    const missing = page.getByRole("article").filter({ has: page.getByRole("heading", { name: says.missing }) });
    const late = page.getByRole("article").filter({ has: page.getByRole("heading", { name: says.late }) });
    await missing.getByText(says.toDo).waitFor();
    await look("differences");
    await page.goto(`${demo.hub}/shop`);
    await page.getByRole("navigation").getByRole("link", { name: says.nav }).click();
    await missing.getByRole("link", { name: sale.id }).click();
    await page.waitForURL(`${demo.hub}/shop/payments/${sale.id}`);
    await page.getByText(says.timeline).first().waitFor();

    // One the provider mends, one a person sees to, by the keyboard alone.
    await behindOurBack(her, sale.id, { status: "captured" });
    await page.goto(`${demo.hub}/shop/discrepancies`);
    await late.getByLabel(says.note).focus();
    await page.keyboard.type(says.said);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText(says.marked).waitFor();
    await comparison(her);
    await page.getByText(says.none).waitFor();
    await page.getByRole("link", { name: says.settled, exact: true }).click();
    await page.waitForURL(/state=settled/);
    assert.ok(await page.getByText(says.said).count() > 0);
    assert.ok(await page.getByText(says.agreed).count() > 0);
    await look("settled");
  });
}
