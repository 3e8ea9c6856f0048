//! Renders every page's samples in both languages and reads them as a browser, a screen reader and a policy would.
mod html;

use html::{Event, events};
use kessai_web::{Locale, Page, asset, render, text_keys};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every page rendered: its name, language and HTML.
fn every_page() -> Vec<(String, Locale, String)> {
    let mut all = Vec::new();
    macro_rules! pages {
        ($($page:ty),+ $(,)?) => { $(
            for locale in Locale::ALL {
                for (name, sample) in <$page>::samples() {
                    let title = format!("{}/{name}/{}", stringify!($page), locale.tag());
                    all.push((title, locale, render(&sample, locale)));
                }
            }
        )+ };
    }
    pages! {
        kessai_web::checkout::Checkout,
        kessai_web::instructions::Instructions,
        kessai_web::shopper::ThreeDSecure,
        kessai_web::shopper::FrameReturn,
        kessai_web::shopper::Processing,
        kessai_web::shopper::Completed,
        kessai_web::shopper::Expired,
        kessai_web::shopper::Cancelled,
        kessai_web::shopper::NotFound,
        kessai_web::shopper::ServerError,
        kessai_web::office::Login,
        kessai_web::office::Today,
        kessai_web::office::PaymentList,
        kessai_web::office::PaymentDetail,
        kessai_web::office::ConfirmAct,
        kessai_web::office::Deliveries,
        kessai_web::office::Discrepancies,
        kessai_web::demo::TeaShop,
        kessai_web::demo::TeaOrders,
        kessai_web::demo::TeaOrder,
        kessai_web::api_docs::ApiDocs,
    }
    all
}

#[test]
fn every_page_is_whole_in_both_languages() {
    for (page, locale, html) in every_page() {
        assert!(html.starts_with("<!doctype html>"), "{page}");
        assert!(
            html.contains(&format!("<html lang=\"{}\">", locale.tag())),
            "{page}: language"
        );
        assert!(
            !html.contains('⟦'),
            "{page}: missing text {:?}",
            html.split('⟦').nth(1).map(|s| &s[..40.min(s.len())])
        );
        let mut open = Vec::new();
        let (mut h1, mut main, mut title) = (0, 0, 0);
        let mut ids = BTreeSet::new();
        for event in events(&html) {
            match event {
                Event::Open {
                    tag,
                    attributes,
                    empty,
                } => {
                    h1 += usize::from(tag == "h1");
                    main += usize::from(tag == "main");
                    title += usize::from(tag == "title" && open.last() == Some(&"head".to_owned()));
                    if let Some(id) = attributes.get("id") {
                        assert!(ids.insert(id.clone()), "{page}: id {id} twice");
                    }
                    if !empty {
                        open.push(tag);
                    }
                }
                Event::Close(tag) => assert_eq!(open.pop().as_deref(), Some(tag.as_str()), "{page}: nesting"),
            }
        }
        assert_eq!(open, Vec::<String>::new(), "{page}: left open");
        assert_eq!((h1, main, title), (1, 1, 1), "{page}: h1, main, title");
        // What points at an id points at one that exists.
        for event in events(&html) {
            let Event::Open { tag, attributes, .. } = event else {
                continue;
            };
            for name in ["for", "aria-labelledby", "aria-describedby", "data-amount-of"] {
                for id in attributes.get(name).into_iter().flat_map(|list| list.split(' ')) {
                    assert!(ids.contains(id), "{page}: <{tag} {name}={id}> points nowhere");
                }
            }
            if tag == "a"
                && let Some(id) = attributes.get("href").and_then(|href| href.strip_prefix('#'))
            {
                assert!(ids.contains(id), "{page}: link to #{id}");
            }
        }
    }
}

#[test]
fn every_input_has_a_label_and_every_picture_an_alternative() {
    for (page, _, html) in every_page() {
        let labelled: BTreeSet<String> = events(&html)
            .into_iter()
            .filter_map(|event| match event {
                Event::Open {
                    tag, mut attributes, ..
                } if tag == "label" => attributes.remove("for"),
                _ => None,
            })
            .collect();
        let mut labels_open = 0;
        for event in events(&html) {
            match event {
                Event::Open { tag, attributes, .. } => {
                    labels_open += i32::from(tag == "label");
                    let kind = attributes.get("type").map(String::as_str).unwrap_or_default();
                    if matches!(tag.as_str(), "input" | "select" | "textarea") && kind != "hidden" {
                        let by_id = attributes.get("id").is_some_and(|id| labelled.contains(id));
                        let named = attributes.contains_key("aria-label");
                        assert!(
                            by_id || named || labels_open > 0,
                            "{page}: no label for {attributes:?}"
                        );
                    }
                    if tag == "img" {
                        assert!(attributes.contains_key("alt"), "{page}: img without alt");
                    }
                    if tag == "iframe" {
                        assert!(attributes.contains_key("title"), "{page}: iframe without title");
                    }
                    if tag == "button" {
                        assert!(
                            attributes.contains_key("type"),
                            "{page}: a button without a type submits"
                        );
                    }
                }
                Event::Close(tag) => labels_open -= i32::from(tag == "label"),
            }
        }
    }
}

#[test]
fn nothing_on_a_page_needs_more_than_a_strict_policy() {
    for (page, _, html) in every_page() {
        for event in events(&html) {
            let Event::Open { tag, attributes, .. } = event else {
                continue;
            };
            assert!(tag != "style", "{page}: inline style sheet");
            assert!(
                tag != "script" || attributes.contains_key("src"),
                "{page}: inline script"
            );
            for (name, value) in &attributes {
                assert!(name != "style", "{page}: style attribute on <{tag}>");
                assert!(!name.starts_with("on"), "{page}: handler {name} on <{tag}>");
                assert!(
                    !value.trim_start().starts_with("javascript:"),
                    "{page}: {name}={value}"
                );
            }
            for source in ["src", "href"]
                .into_iter()
                .filter_map(|name| attributes.get(name))
            {
                if source.starts_with("/assets/") {
                    assert!(asset(source).is_some(), "{page}: {source} is not embedded");
                } else {
                    assert!(
                        tag != "script" && tag != "link",
                        "{page}: {source} comes from elsewhere"
                    );
                }
            }
        }
    }
}

#[test]
fn every_form_that_changes_something_is_protected_and_no_card_input_can_be_posted() {
    for (page, _, html) in every_page() {
        let mut fields: Option<BTreeSet<String>> = None;
        for event in events(&html) {
            match event {
                Event::Open { tag, attributes, .. } if tag == "form" => {
                    let posts = attributes.get("method").map(String::as_str) == Some("post");
                    fields = posts.then(BTreeSet::new);
                }
                Event::Open { tag, attributes, .. } if tag == "input" => {
                    let kind = attributes
                        .get("autocomplete")
                        .map(String::as_str)
                        .unwrap_or_default();
                    assert!(
                        !kind.starts_with("cc-") || !attributes.contains_key("name"),
                        "{page}: {attributes:?}"
                    );
                    if let (Some(fields), Some(name)) = (&mut fields, attributes.get("name")) {
                        fields.insert(name.clone());
                    }
                }
                Event::Close(tag) if tag == "form" => {
                    if let Some(fields) = fields.take() {
                        assert!(
                            fields.contains("csrf") || page.contains("TeaShop"),
                            "{page}: {fields:?}"
                        );
                    }
                }
                Event::Open { .. } | Event::Close(_) => {}
            }
        }
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_key_that_is_used_exists_and_every_key_that_exists_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let keys: BTreeSet<String> = text_keys(Locale::Ja)
        .iter()
        .map(|key| key.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    let sources = files(&root.join("templates"), "html")
        .into_iter()
        .chain(files(&root.join("src"), "rs"));
    let text: String = sources
        .map(|path| fs::read_to_string(path).expect("readable"))
        .collect();
    for call in [
        "l.t(\"",
        "l.t1(\"",
        "l.t2(\"",
        "l.count(\"",
        "locale.t(\"",
        "locale.t1(\"",
        "locale.count(\"",
    ] {
        for rest in text.split(call).skip(1) {
            let key = rest.split('"').next().unwrap_or_default();
            assert!(
                keys.contains(key) || key == "no-such-key",
                "{key} is used and has no text"
            );
        }
    }
    // Keys that are put together from a part of theirs; the unit tests and the samples cover these.
    let made = [
        "state-",
        "delivery-",
        "method-",
        "store-",
        "error-",
        "next-",
        "field-error-",
        "steps-",
        "act-",
        "task-",
        "happening-",
        "discrepancy-",
        "tea-",
        "order-",
        "notice-",
        "login-",
    ];
    for key in &keys {
        let used = text.contains(&format!("\"{key}\"")) || made.iter().any(|prefix| key.starts_with(prefix));
        assert!(used, "{key} is not used");
    }
}
