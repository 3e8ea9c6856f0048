//! Pages for buyers and for whoever plays the world: front page, counters, wallet, 3-D Secure, instructions.
use super::KomojuSandbox;
use super::cards::ThreeDs;
use super::desk::{PAYMENT, SLIP};
use super::error::{ApiError, Done, Fail};
use super::html::{Esc, Lang, Leaf, chip, moment, money, redirect};
use super::icons;
use super::input::Params;
use super::methods;
use super::model::{Payment, Status, Way};
use super::world::{Choice, PASSWORD};
use jiff::Timestamp;
use kessai_core::Currency;
use kessai_provider::sandbox::Ask;
use kessai_provider::sandbox::books::Filter;
use kessai_provider::transport::{Method, Reply};
use std::fmt::Write;

/// One request for a page.
pub(super) struct Visit<'a> {
    pub ask: &'a Ask,
    pub now: Timestamp,
    pub query: Params,
    pub form: Params,
}

impl Visit<'_> {
    /// `?locale=` wins over what the page's subject says.
    pub fn lang(&self, locale: &str) -> Lang {
        Lang::of(
            self.query
                .text("locale", 10)
                .ok()
                .flatten()
                .as_deref()
                .unwrap_or(locale),
        )
    }

    pub fn posts(&self) -> bool {
        self.ask.method == Method::Post
    }

    fn field(&self, name: &str) -> String {
        self.form.text(name, 200).ok().flatten().unwrap_or_default()
    }
}

impl KomojuSandbox {
    /// Everything that is neither API nor control.
    pub(super) fn page(&self, ask: &Ask, now: Timestamp) -> Reply {
        let form = if ask.method == Method::Post {
            Params::read(
                ask.header("content-type")
                    .unwrap_or("application/x-www-form-urlencoded"),
                &ask.body,
            )
        } else {
            Ok(Params::default())
        };
        let visit = |form| Visit {
            ask,
            now,
            query: Params::form(ask.query()),
            form,
        };
        let shown = form
            .map_err(Fail::from)
            .and_then(|form| self.find_page(&visit(form)));
        match shown {
            Ok(reply) => reply,
            Err(Fail::Api(error)) => self.sorry(&visit(Params::default()), &error),
            Err(Fail::Books(fault)) => {
                self.logged::<()>(Err(fault));
                self.sorry(&visit(Params::default()), &ApiError::of("internal_server_error"))
            }
        }
    }

    fn find_page(&self, visit: &Visit<'_>) -> Done<Reply> {
        let path = visit.ask.path().trim_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        match (visit.ask.method, parts.as_slice()) {
            (Method::Get, [""]) => self.front(visit),
            (Method::Get, ["books"]) => self.ledger(visit),
            (Method::Get | Method::Post, ["counter"]) => self.counter(visit, false),
            (Method::Get | Method::Post, ["bank"]) => self.counter(visit, true),
            (Method::Get | Method::Post, ["offsite", id]) => self.wallet(visit, id),
            (Method::Get | Method::Post, ["three_d_secure_service", "offsite"]) => self.three_d_secure(visit),
            (Method::Get, [locale @ ("ja" | "en" | "ko"), "instructions", id]) => {
                self.instructions(visit, locale, id)
            }
            (Method::Get, ["sessions", id, "instructions"]) => {
                let session = self.books.read(|page| self.desk(page, visit.now).session(id))?;
                let payment = session.payment.ok_or_else(|| ApiError::of("not_found"))?;
                self.instructions(visit, &session.locale, &payment)
            }
            (Method::Get | Method::Post, ["sessions", id]) => self.checkout(visit, id),
            (Method::Get, ["payment_methods", file]) => {
                let slug = file.strip_suffix(".svg").unwrap_or_default();
                icons::icon(slug).ok_or_else(|| ApiError::of("not_found").into())
            }
            _ => Err(ApiError::of("not_found").into()),
        }
    }

    pub(super) fn leaf<'a>(&'a self, lang: Lang, title: &'a str, body: String) -> Leaf<'a> {
        Leaf {
            root: &self.root,
            lang,
            title,
            body,
            status: 200,
            wide: false,
            framed: false,
            leads_to: None,
        }
    }

    fn sorry(&self, visit: &Visit<'_>, error: &ApiError) -> Reply {
        let lang = visit.lang("ja");
        let title = match error.status {
            404 => lang.say("ページが見つかりません", "There is no such page"),
            _ => lang.say("この操作はできません", "That is not possible"),
        };
        let body = format!(
            "<h1>{title}</h1><p>{}</p><p>{}</p><p class=\"quiet mono\">{}</p>",
            lang.say("お金は動いていません。", "No money was moved."),
            lang.say(
                "前のページに戻って、もう一度お試しください。",
                "Go back and try again."
            ),
            Esc(&error.message),
        );
        Leaf {
            status: error.status,
            framed: true,
            ..self.leaf(lang, title, body)
        }
        .reply()
    }

    fn front(&self, visit: &Visit<'_>) -> Done<Reply> {
        let lang = visit.lang("ja");
        let filter = Filter {
            kind: PAYMENT,
            ..Filter::default()
        };
        let recent = self.books.read(|page| page.newest(&filter, 50))?;
        let mut rows = String::new();
        for object in &recent {
            let payment: Payment = serde_json::from_str(&object.body)?;
            let _ = write!(
                rows,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"mono\">{}</td><td>{}</td></tr>",
                moment(payment.created_at, lang),
                chip(&payment, lang),
                method_name(&payment, lang),
                money(payment.total(), payment.currency),
                Esc(payment.number.as_deref().unwrap_or(&payment.id)),
                self.next_step(&payment, lang),
            );
        }
        let mut body = format!("<h1>{}</h1>", lang.say("KOMOJU テスト環境", "KOMOJU sandbox"));
        if rows.is_empty() {
            let _ = write!(
                body,
                "<p class=\"note\">{}</p>",
                lang.say("まだ決済はありません。", "There are no payments yet.")
            );
        } else {
            let heads = [
                ("日時", "When"),
                ("状態", "State"),
                ("方法", "Method"),
                ("金額", "Amount"),
                ("注文番号", "Order"),
                ("次の操作", "Next"),
            ];
            let heads: String = heads
                .iter()
                .map(|(ja, en)| format!("<th scope=\"col\">{}</th>", lang.say(ja, en)))
                .collect();
            let _ = write!(
                body,
                "<p class=\"quiet\">{}</p><div class=\"scroll\"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>",
                lang.say("新しい順に50件まで", "The newest 50"),
            );
        }
        body.push_str(&self.faults_form(lang));
        let other = if lang.ja {
            "<a href=\"?locale=en\" lang=\"en\">English</a>"
        } else {
            "<a href=\"?locale=ja\" lang=\"ja\">日本語</a>"
        };
        let _ = write!(body, "<p>{other}</p>");
        Ok(Leaf {
            wide: true,
            ..self.leaf(lang, lang.say("決済一覧", "Payments"), body)
        }
        .reply())
    }

    /// The page where something can be done about a payment.
    fn next_step(&self, payment: &Payment, lang: Lang) -> String {
        let root = Esc(&self.root);
        let id = Esc(&payment.id);
        match (payment.status, payment.way, payment.method()) {
            (Status::Pending, Way::Offsite, _) => {
                format!(
                    "<a href=\"{root}/offsite/{id}\">{}</a>",
                    lang.say("ウォレット画面", "Wallet page")
                )
            }
            (Status::Authorized, Way::Slip, "bank_transfer") => {
                format!("<a href=\"{root}/bank\">{}</a>", lang.say("振り込む", "Transfer"))
            }
            (Status::Authorized, Way::Slip, _) => {
                format!(
                    "<a href=\"{root}/counter\">{}</a>",
                    lang.say("窓口で支払う", "Pay at the counter")
                )
            }
            _ => String::new(),
        }
    }

    fn faults_form(&self, lang: Lang) -> String {
        let mut out = format!("<h2>{}</h2>", lang.say("障害を起こす", "Make something fail"));
        let rules = self.faults.rules();
        if !rules.is_empty() {
            out.push_str("<ul>");
            for rule in &rules {
                let _ = write!(
                    out,
                    "<li class=\"mono\">{}</li>",
                    Esc(&serde_json::to_string(rule).unwrap_or_default())
                );
            }
            let _ = write!(
                out,
                "</ul><form method=\"post\" action=\"{}/sandbox/faults/clear\"><button class=\"second\">{}</button></form>",
                Esc(&self.root),
                lang.say("すべての障害を取り除く", "Remove all faults"),
            );
        }
        let kinds = [
            ("lose_after", "記帳後に応答を失う", "Booked, reply lost"),
            ("lose_before", "記帳前に切断", "Dropped before booking"),
            ("refuse", "接続拒否", "Connection refused"),
            ("delay", "遅い応答", "Late reply"),
            ("status", "HTTPエラー", "HTTP error"),
            ("truncate", "途中で切れた応答", "Reply cut short"),
            ("garble", "読めない応答", "Unreadable reply"),
            ("unlisted_status", "未知の状態", "Unlisted status"),
            ("wrong_amount", "金額違いの応答", "Wrong amount in the reply"),
            ("decline", "拒否", "Decline"),
            ("notice_drop", "通知が来ない", "Webhook never sent"),
            ("notice_duplicate", "通知が二度来る", "Webhook sent twice"),
            ("notice_reorder", "通知の順序が入れ替わる", "Webhook overtaken"),
            ("notice_delay", "通知が遅れる", "Webhook late"),
            ("notice_forge", "偽の通知", "Forged webhook"),
            (
                "notice_wrong_amount",
                "金額違いの通知",
                "Webhook with a wrong amount",
            ),
            (
                "notice_unknown_payment",
                "知らない決済の通知",
                "Webhook about an unknown payment",
            ),
        ];
        let options: String = kinds
            .iter()
            .map(|(kind, ja, en)| format!("<option value=\"{kind}\">{}</option>", lang.say(ja, en)))
            .collect();
        let operations = [
            "*",
            "payments.create",
            "payments.capture",
            "payments.refund",
            "payments.cancel",
            "payments.show",
            "payments.list",
            "sessions.create",
            "sessions.pay",
            "sessions.show",
        ];
        let operations: String = operations
            .iter()
            .map(|name| format!("<option>{name}</option>"))
            .collect();
        let _ = write!(
            out,
            "<form class=\"stack\" method=\"post\" action=\"{}/sandbox/faults\"><div class=\"grid\">\
             <label>{}<select name=\"kind\">{options}</select></label><label>{}<select name=\"operation\">{operations}</select></label>\
             <label>{}<input type=\"text\" name=\"rate\" value=\"1000\" inputmode=\"numeric\"></label>\
             <label>{}<input type=\"text\" name=\"remaining\" value=\"1\" inputmode=\"numeric\"></label>\
             <label>{}<input type=\"text\" name=\"code\"></label><label>{}<input type=\"text\" name=\"ms\" inputmode=\"numeric\"></label>\
             </div><div><button>{}</button></div></form>",
            Esc(&self.root),
            lang.say("何が起きるか", "What happens"),
            lang.say("どの操作で", "To which operation"),
            lang.say("千回に何回", "How many of 1000"),
            lang.say("あと何回（空欄は無制限）", "How many more (empty: no end)"),
            lang.say("コード（HTTPエラー・拒否）", "Code (HTTP error, decline)"),
            lang.say("ミリ秒（遅れ）", "Milliseconds (late)"),
            lang.say("この障害を加える", "Add this fault"),
        );
        out
    }

    fn ledger(&self, visit: &Visit<'_>) -> Done<Reply> {
        let lang = visit.lang("ja");
        let lines = self.books.read(|page| page.last_charges(200))?;
        let mut rows = String::new();
        for line in &lines {
            let what = match line.what.as_str() {
                "authorize" => lang.say("オーソリ", "Authorize"),
                "capture" => lang.say("売上確定", "Capture"),
                "refund" => lang.say("返金", "Refund"),
                "cancel" => lang.say("取消", "Cancel"),
                _ => lang.say("期限切れ", "Expire"),
            };
            let at = Timestamp::from_microsecond(line.at_us).unwrap_or(visit.now);
            let currency = line.currency.parse().unwrap_or(Currency::JPY);
            let _ = write!(
                rows,
                "<tr><td class=\"num\">{}</td><td>{}</td><td>{what}</td><td class=\"num\">{}</td><td class=\"mono\">{}</td>\
                 <td class=\"mono\">{}</td><td>{}</td></tr>",
                line.n,
                moment(at, lang),
                money(line.amount, currency),
                Esc(&line.payment),
                Esc(line.number.as_deref().unwrap_or_default()),
                Esc(line.detail.as_deref().unwrap_or_default()),
            );
        }
        let title = lang.say("帳簿", "Books");
        let heads = [
            ("番号", "No."),
            ("日時", "When"),
            ("何が", "What"),
            ("金額", "Amount"),
            ("決済", "Payment"),
            ("注文番号", "Order"),
            ("備考", "Note"),
        ];
        let heads: String = heads
            .iter()
            .map(|(ja, en)| format!("<th scope=\"col\">{}</th>", lang.say(ja, en)))
            .collect();
        let body = format!(
            "<h1>{title}</h1><p class=\"quiet\">{}</p><div class=\"scroll\"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>",
            lang.say("新しい順に200行まで", "The newest 200 lines"),
        );
        Ok(Leaf {
            wide: true,
            ..self.leaf(lang, title, body)
        }
        .reply())
    }

    /// The counter of a shop, or of a bank: open slips, and paying one by its number.
    fn counter(&self, visit: &Visit<'_>, bank: bool) -> Done<Reply> {
        let lang = visit.lang("ja");
        let mut note = String::new();
        if visit.posts() {
            let number = visit.field("number");
            let amount = visit.form.money("amount")?;
            let paid = self.books.write(|page| -> Done<Payment> {
                let desk = self.desk(page, visit.now);
                let slip = page
                    .object(SLIP, number.trim())?
                    .ok_or_else(|| ApiError::of("not_found"))?;
                let mut payment = desk.payment(&slip.body)?;
                desk.cash_arrives(&mut payment, amount)?;
                Ok(payment)
            });
            note = match paid {
                Ok(payment) => format!(
                    "<p class=\"note good\" role=\"status\">{} {}</p>",
                    lang.say("入金しました。", "Paid:"),
                    money(payment.total(), payment.currency)
                ),
                Err(Fail::Books(fault)) => return Err(fault.into()),
                Err(Fail::Api(error)) => format!(
                    "<p class=\"note bad\" role=\"alert\">{} <span class=\"quiet\">{}</span></p>",
                    lang.say(
                        "この番号では支払えません。お金は動いていません。番号と期限を確かめてください。",
                        "This number cannot be paid. No money was moved. Check the number and its deadline."
                    ),
                    Esc(&error.message)
                ),
            };
        }
        let filter = Filter {
            kind: PAYMENT,
            statuses: vec!["authorized"],
            waiting: true,
            ..Filter::default()
        };
        let waiting = self.books.read(|page| page.newest(&filter, 500))?;
        let mut rows = String::new();
        for object in &waiting {
            let payment: Payment = serde_json::from_str(&object.body)?;
            if payment.way != Way::Slip || (payment.method() == "bank_transfer") != bank {
                continue;
            }
            let number = slip_number(&payment);
            let amount = format!(
                "<input type=\"text\" name=\"amount\" value=\"{}\" inputmode=\"numeric\" aria-label=\"{}\">",
                payment.total(),
                lang.say("金額", "Amount")
            );
            let _ = write!(
                rows,
                "<tr><td class=\"mono\">{}</td><td>{}</td><td class=\"num\">{}</td><td>{}</td><td><form method=\"post\">\
                 <input type=\"hidden\" name=\"number\" value=\"{}\">{}<button>{}</button></form></td></tr>",
                Esc(number),
                method_name(&payment, lang),
                money(payment.total(), payment.currency),
                payment.deadline.map(|at| moment(at, lang)).unwrap_or_default(),
                Esc(number),
                if bank { amount.as_str() } else { "" },
                if bank {
                    lang.say("振り込む", "Transfer")
                } else {
                    lang.say("支払う", "Pay")
                },
            );
        }
        let title = if bank {
            lang.say("銀行窓口", "Bank")
        } else {
            lang.say("コンビニ・ペイジー窓口", "Convenience store counter")
        };
        let form = format!(
            "<form class=\"stack\" method=\"post\"><label>{}<input type=\"text\" name=\"number\" inputmode=\"numeric\" autocomplete=\"off\" required></label>{}\
             <div><button>{}</button></div></form>",
            lang.say(
                "受付番号（払込票番号・お客様番号・振込番号）",
                "Receipt, customer or transfer number"
            ),
            if bank {
                format!(
                    "<label>{}<input type=\"text\" name=\"amount\" inputmode=\"numeric\"></label>",
                    lang.say("金額（空欄は請求どおり）", "Amount (empty: as billed)")
                )
            } else {
                String::new()
            },
            lang.say("この番号で支払う", "Pay this number"),
        );
        let table = if rows.is_empty() {
            format!(
                "<p class=\"quiet\">{}</p>",
                lang.say(
                    "支払いを待っているものはありません。",
                    "Nothing is waiting to be paid."
                )
            )
        } else {
            format!(
                "<h2>{}</h2><div class=\"scroll\"><table><tbody>{rows}</tbody></table></div>",
                lang.say("支払い待ち", "Waiting to be paid")
            )
        };
        let body = format!("<h1>{title}</h1>{note}{form}{table}");
        Ok(Leaf {
            wide: true,
            ..self.leaf(lang, title, body)
        }
        .reply())
    }

    /// The page that stands in for a wallet.
    fn wallet(&self, visit: &Visit<'_>, id: &str) -> Done<Reply> {
        let mut payment = self.books.read(|page| self.desk(page, visit.now).payment(id))?;
        if payment.way != Way::Offsite {
            return Err(ApiError::of("not_found").into());
        }
        let lang = visit.lang(&payment.locale);
        if visit.posts() && payment.status == Status::Pending {
            let choice = match visit.field("choice").as_str() {
                "capture" => Choice::Approve,
                "fail" => Choice::Fail,
                _ => Choice::Abort,
            };
            let back = self.books.write(|page| -> Done<_> {
                let desk = self.desk(page, visit.now);
                payment = desk.payment(id)?;
                desk.choose(&mut payment, choice)?;
                desk.back_from(&payment, choice == Choice::Approve)
            })?;
            if let Some(url) = back {
                return Ok(redirect(&url));
            }
        }
        let mut body = format!(
            "<h1>KOMOJU Offsite Test Page</h1><p>{}</p><p class=\"amount\">{}</p>",
            method_name(&payment, lang),
            money(payment.total(), payment.currency),
        );
        if payment.status == Status::Pending {
            let _ = write!(
                body,
                "<form class=\"stack\" method=\"post\"><button name=\"choice\" value=\"capture\">{}</button>\
                 <button class=\"second\" name=\"choice\" value=\"cancel\">{}</button>\
                 <button class=\"bad\" name=\"choice\" value=\"fail\">{}</button></form>",
                lang.say("支払う / Capture", "Capture / 支払う"),
                lang.say("キャンセル / Cancel", "Cancel / キャンセル"),
                lang.say("失敗させる / Fail", "Fail / 失敗させる"),
            );
        } else {
            let _ = write!(body, "<p role=\"status\">{}</p>", chip(&payment, lang));
            let well = matches!(payment.status, Status::Captured | Status::Authorized);
            let back = self
                .books
                .read(|page| self.desk(page, visit.now).back_from(&payment, well))?;
            if let Some(url) = back {
                let shop = lang.say("お店に戻る", "Return to the shop");
                let _ = write!(
                    body,
                    "<p><a class=\"button\" href=\"{}\">{shop}</a></p>",
                    Esc(&url)
                );
            }
        }
        let leads_to = payment.return_url.clone().or_else(|| payment.cancel_url.clone());
        let leaf = self.leaf(lang, "KOMOJU Offsite Test Page", body);
        Ok(Leaf {
            leads_to: leads_to.as_deref(),
            ..leaf
        }
        .reply())
    }

    /// The issuer's page. May stand in the shop's frame.
    fn three_d_secure(&self, visit: &Visit<'_>) -> Done<Reply> {
        let id = visit
            .query
            .text("token", 60)?
            .ok_or_else(|| ApiError::of("not_found"))?;
        let (mut token, payment) = self.books.read(|page| -> Done<_> {
            let desk = self.desk(page, visit.now);
            let token = desk.secure_token(&id)?.ok_or_else(|| ApiError::of("not_found"))?;
            let payment = token.payment.as_deref().map(|id| desk.payment(id)).transpose()?;
            Ok((token, payment))
        })?;
        let lang = visit.lang(payment.as_ref().map_or("ja", |payment| payment.locale.as_str()));
        let asks = matches!(token.card.three_ds, ThreeDs::Challenge | ThreeDs::ChallengeFails);
        let waits = token.verification_status == "NEEDS_VERIFY";
        if visit.posts() || !asks || !waits {
            let password = visit.field("password");
            let back = self.books.write(|page| -> Done<_> {
                let desk = self.desk(page, visit.now);
                token = desk.secure_token(&id)?.ok_or_else(|| ApiError::of("not_found"))?;
                desk.authenticate(&mut token, Some(&password))
            })?;
            if let Some(url) = back {
                return Ok(redirect(&url));
            }
        }
        let title = lang.say("3Dセキュア本人認証", "3-D Secure authentication");
        let mut body = format!(
            "<h1>{title}</h1><p class=\"amount\">{}</p>",
            money(token.amount, token.currency)
        );
        let _ = write!(
            body,
            "<p>{} •••• {}</p>",
            Esc(&token.card.brand),
            Esc(&token.card.last4)
        );
        if token.verification_status == "NEEDS_VERIFY" {
            let _ = write!(
                body,
                "<form class=\"stack\" method=\"post\"><label>{}<input type=\"password\" name=\"password\" autocomplete=\"off\" \
                 inputmode=\"numeric\" required></label><p class=\"quiet\">{}</p><div><button>{}</button></div></form>",
                lang.say("パスワード", "Password"),
                if lang.ja {
                    format!("{PASSWORD} で成功、それ以外は失敗します。")
                } else {
                    format!("{PASSWORD} succeeds, anything else fails.")
                },
                lang.say("認証する", "Authenticate"),
            );
        } else {
            let _ = write!(
                body,
                "<p class=\"mono\" role=\"status\">{}</p>",
                Esc(&token.verification_status)
            );
        }
        let leads_to = token
            .return_url
            .clone()
            .or_else(|| payment.and_then(|payment| payment.return_url));
        let leaf = self.leaf(lang, title, body);
        Ok(Leaf {
            framed: true,
            leads_to: leads_to.as_deref(),
            ..leaf
        }
        .reply())
    }

    fn instructions(&self, visit: &Visit<'_>, locale: &str, id: &str) -> Done<Reply> {
        let (payment, back) = self.books.read(|page| -> Done<_> {
            let desk = self.desk(page, visit.now);
            let payment = desk.payment(id)?;
            let back = desk.back_from(&payment, true)?;
            Ok((payment, back))
        })?;
        if payment.way != Way::Slip {
            return Err(ApiError::of("not_found").into());
        }
        let lang = visit.lang(locale);
        let store = payment
            .detail("store")
            .map(|store| methods::store_name(store, lang.ja))
            .unwrap_or_default();
        let title = match payment.method() {
            "konbini" if lang.ja => format!("{store}でのお支払い方法"),
            "konbini" => format!("How to make a payment at {store}"),
            "bank_transfer" => lang
                .say("銀行振込でのお支払い方法", "How to pay by bank transfer")
                .to_owned(),
            _ => lang
                .say("ペイジーでのお支払い方法", "How to pay with Pay-easy")
                .to_owned(),
        };
        let mut body = format!(
            "<h1>{}</h1><p>{}</p><p class=\"amount\">{}</p><dl>",
            Esc(&title),
            chip(&payment, lang),
            money(payment.total(), payment.currency),
        );
        if let Some(at) = payment.deadline {
            let _ = write!(
                body,
                "<dt>{}</dt><dd>{}</dd>",
                lang.say("お支払い期限", "Pay by"),
                moment(at, lang)
            );
        }
        let names = [
            ("receipt", "払込票番号", "Receipt number"),
            ("confirmation_code", "確認番号", "Confirmation code"),
            ("bank_id", "収納機関番号", "Biller number"),
            ("customer_id", "お客様番号", "Customer number"),
            ("confirmation_id", "確認番号", "Confirmation number"),
            ("bank_name", "銀行名", "Bank"),
            ("account_branch_name", "支店名", "Branch"),
            ("account_type", "口座種別", "Account type"),
            ("account_number", "口座番号", "Account number"),
            ("account_name", "口座名義", "Account name"),
            ("order_id", "振込番号", "Transfer number"),
        ];
        for (name, ja, en) in names {
            if let Some(value) = payment.detail(name) {
                let _ = write!(
                    body,
                    "<dt>{}</dt><dd class=\"big\">{}</dd>",
                    lang.say(ja, en),
                    Esc(value)
                );
            }
        }
        let (page, pay) = match payment.method() {
            "bank_transfer" => (
                "bank",
                lang.say("テスト用の銀行窓口で振り込む", "Transfer at the test bank"),
            ),
            _ => (
                "counter",
                lang.say("テスト用の窓口で支払う", "Pay at the test counter"),
            ),
        };
        let _ = write!(
            body,
            "</dl><p><a class=\"button\" href=\"{}/{page}\">{pay}</a></p>",
            Esc(&self.root)
        );
        if let Some(url) = back {
            let shop = lang.say("お店に戻る", "Return to the shop");
            let _ = write!(
                body,
                "<p><a class=\"button second\" href=\"{}\">{shop}</a></p>",
                Esc(&url)
            );
        }
        Ok(self.leaf(lang, &title, body).reply())
    }
}

fn slip_number(payment: &Payment) -> &str {
    ["receipt", "customer_id", "order_id"]
        .into_iter()
        .find_map(|name| payment.detail(name))
        .unwrap_or_default()
}

fn method_name(payment: &Payment, lang: Lang) -> String {
    let name = methods::find(payment.method()).map_or(payment.method(), |spec| lang.say(spec.ja, spec.en));
    let more = match (payment.detail("last_four_digits"), payment.detail("store")) {
        (Some(digits), _) => format!(" •••• {digits}"),
        (None, Some(store)) => format!(" {}", methods::store_name(store, lang.ja)),
        (None, None) => String::new(),
    };
    format!("{}{}", Esc(name), Esc(&more))
}
