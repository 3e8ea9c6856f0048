//! `session_url`: the session's own checkout, one form without script.
use super::KomojuSandbox;
use super::error::{Done, Fail};
use super::html::{Esc, Lang, Leaf, money, redirect};
use super::input::Params;
use super::methods;
use super::pages::Visit;
use kessai_provider::transport::Reply;
use std::fmt::Write;

impl KomojuSandbox {
    /// The session's own checkout, as plain as can be.
    pub(super) fn checkout(&self, visit: &Visit<'_>, id: &str) -> Done<Reply> {
        let session = self.books.read(|page| self.desk(page, visit.now).session(id))?;
        let lang = visit.lang(&session.locale);
        let open = session.status.as_str() == "pending" && !session.expired(visit.now);
        let mut note = String::new();
        if visit.posts() && open {
            let paid = self
                .books
                .write(|page| self.desk(page, visit.now).pay_session(id, &chosen(&visit.form)));
            let message = match paid {
                Err(Fail::Books(fault)) => return Err(fault.into()),
                Err(Fail::Api(error)) => error.message,
                Ok(said) => {
                    let body: serde_json::Value = serde_json::from_slice(said.body.as_bytes())?;
                    if let Some(url) = body["redirect_url"].as_str().filter(|_| said.status == 200) {
                        return Ok(redirect(url));
                    }
                    body["error"]["message"].as_str().unwrap_or_default().to_owned()
                }
            };
            note = format!(
                "<p class=\"note bad\" role=\"alert\">{}<br><span class=\"quiet\">{}</span></p>",
                lang.say(
                    "お支払いできませんでした。代金は引き落とされていません。内容を確かめるか、別の方法をお選びください。",
                    "The payment did not go through. Nothing was charged. Check what you entered, or choose another way to pay."
                ),
                Esc(&message),
            );
        }
        let title = lang.say("お支払い", "Payment");
        let mut body = format!(
            "<h1>{title}</h1><p class=\"amount\">{}</p>{note}",
            money(session.amount, session.currency)
        );
        if open {
            body.push_str(&checkout_form(&session.types, lang));
        } else {
            let done = session.status.as_str() == "completed";
            let word = if done {
                lang.say(
                    "お手続きは完了しました。ありがとうございました。",
                    "Thank you. This checkout is complete.",
                )
            } else {
                lang.say("このお支払いページは終了しました。", "This checkout is over.")
            };
            let _ = write!(body, "<p role=\"status\">{word}</p>");
        }
        if let Some(url) = session.back() {
            let shop = lang.say("お店に戻る", "Return to the shop");
            let _ = write!(
                body,
                "<p><a class=\"button second\" href=\"{}\">{shop}</a></p>",
                Esc(&url)
            );
        }
        let leaf = self.leaf(lang, title, body);
        Ok(Leaf {
            leads_to: session.return_url.as_deref(),
            ..leaf
        }
        .reply())
    }
}

fn checkout_form(types: &[String], lang: Lang) -> String {
    let mut out = String::from("<form class=\"stack\" method=\"post\">");
    for (place, spec) in types.iter().filter_map(|slug| methods::find(slug)).enumerate() {
        let _ = write!(
            out,
            "<label class=\"row\"><input type=\"radio\" name=\"type\" value=\"{}\"{}> {}</label>",
            spec.slug,
            if place == 0 { " checked" } else { "" },
            lang.say(spec.ja, spec.en),
        );
    }
    let field = |name: &str, ja: &str, en: &str, extra: &str| {
        format!(
            "<label>{}<input type=\"text\" name=\"{name}\" {extra}></label>",
            lang.say(ja, en)
        )
    };
    let stores: String = methods::STORES
        .iter()
        .map(|store| {
            format!(
                "<option value=\"{store}\">{}</option>",
                methods::store_name(store, lang.ja)
            )
        })
        .collect();
    let _ = write!(
        out,
        "<fieldset><legend>{}</legend>{}{}{}{}</fieldset>\
         <fieldset><legend>{}</legend><label>{}<select name=\"store\">{stores}</select></label>{}{}{}{}{}</fieldset>\
         <div><button>{}</button></div></form>",
        lang.say("カード", "Card"),
        field(
            "number",
            "カード番号",
            "Card number",
            "inputmode=\"numeric\" autocomplete=\"off\" placeholder=\"4111111111111111\""
        ),
        field("month", "月", "Month", "inputmode=\"numeric\" placeholder=\"12\""),
        field("year", "年", "Year", "inputmode=\"numeric\" placeholder=\"2030\""),
        field(
            "verification_value",
            "セキュリティコード",
            "Security code",
            "inputmode=\"numeric\" autocomplete=\"off\""
        ),
        lang.say(
            "コンビニ・銀行振込・そのほか",
            "Convenience store, bank transfer, others"
        ),
        lang.say("お店", "Store"),
        field(
            "email",
            "メールアドレス",
            "Email",
            "placeholder=\"taro@example.com\""
        ),
        field("phone", "電話番号", "Phone", "placeholder=\"0312345678\""),
        field(
            "family_name_kana",
            "セイ",
            "Family name (kana)",
            "placeholder=\"ヤマダ\""
        ),
        field(
            "given_name_kana",
            "メイ",
            "Given name (kana)",
            "placeholder=\"タロウ\""
        ),
        field(
            "prepaid_number",
            "プリペイド番号",
            "Prepaid number",
            "placeholder=\"1111111111111111\""
        ),
        lang.say("支払う", "Pay"),
    );
    out
}

/// The checkout form's fields as `payment_details`; a name is made of the kana where one is asked for.
fn chosen(form: &Params) -> Params {
    let mut details = form.clone().into_object();
    let name = details
        .get("family_name_kana")
        .cloned()
        .filter(|name| name != "")
        .unwrap_or_else(|| "山田 太郎".into());
    details.insert("name".into(), name.clone());
    details.insert("customer_name".into(), name);
    let mut body = serde_json::Map::new();
    body.insert("payment_details".into(), serde_json::Value::Object(details));
    Params::from_object(body, "")
}
