//! Pieces that several pages share: the shopper's frame, fields, chips, times.
use crate::{DeliveryState, Locale, State, Tone, format};
use askama::Template;
use jiff::Timestamp;
use std::fmt;

/// Text that is HTML already and is not escaped again. Made only here and from our own templates and drawings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(pub(crate) String);

impl Html {
    /// Takes markup as it is: for drawings made by [`crate::code128_svg`], never for text from outside.
    pub fn trusted(markup: String) -> Self {
        Self(markup)
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

impl askama::FastWritable for Html {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(dest.write_str(&self.0)?)
    }
}

/// What every shopper's page has around it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The shop's name as shoppers know it.
    pub shop_name: String,
    /// Whether real money moves; otherwise the page wears a ribbon.
    pub live: bool,
    /// Now.
    pub now: Timestamp,
    /// Path and query of this page, for the language switch: `/sessions/abc?x=1`.
    pub here: String,
}

impl Frame {
    pub(crate) fn sample(here: &str) -> Self {
        Self {
            shop_name: "喫茶 みずいろ".into(),
            live: true,
            now: crate::sample_now(),
            here: here.into(),
        }
    }

    /// This page in another language.
    pub fn in_locale(&self, locale: Locale) -> String {
        with_query(&self.here, "locale", locale.tag())
    }

    /// The first character of the shop's name, for its round mark.
    pub fn initial(&self) -> String {
        let name = self.shop_name.split_whitespace().next_back().unwrap_or("K");
        name.chars().take(1).collect()
    }
}

/// A path with one query parameter set, whatever it was before.
pub(crate) fn with_query(path: &str, name: &str, value: &str) -> String {
    let (base, query) = path.split_once('?').unwrap_or((path, ""));
    let mut kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name))
        .collect();
    let new = format!("{name}={value}");
    kept.push(&new);
    format!("{base}?{}", kept.join("&"))
}

/// A message about what just happened, on top of a page.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Good, or bad.
    pub tone: Tone,
    /// The text key of a sentence from `office.ftl`, such as `notice-refunded`.
    pub key: String,
    /// An amount to name in it, already formatted. Empty when there is none.
    pub amount: String,
}

/// One labelled input.
#[derive(Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field<'a> {
    id: String,
    name: Option<&'a str>,
    label: String,
    kind: &'a str,
    autocomplete: &'a str,
    inputmode: &'a str,
    value: &'a str,
    placeholder: String,
    help: Option<String>,
    error: Option<String>,
    required: bool,
    optional_word: Option<String>,
    max: u16,
    class: &'a str,
}

impl<'a> Field<'a> {
    pub(crate) fn new(id: impl Into<String>, name: &'a str, label: String) -> Self {
        Self {
            id: id.into(),
            name: Some(name),
            label,
            kind: "text",
            autocomplete: "off",
            inputmode: "",
            value: "",
            placeholder: String::new(),
            help: None,
            error: None,
            required: true,
            optional_word: None,
            max: 255,
            class: "",
        }
    }

    /// An input that can never be posted to us: it has no name.
    pub(crate) fn nameless(mut self) -> Self {
        self.name = None;
        self
    }

    pub(crate) fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn auto(mut self, autocomplete: &'a str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    pub(crate) fn mode(mut self, inputmode: &'a str) -> Self {
        self.inputmode = inputmode;
        self
    }

    pub(crate) fn value(mut self, value: &'a str) -> Self {
        self.value = value;
        self
    }

    pub(crate) fn placeholder(mut self, placeholder: impl Into<String>) -> Self {
        self.placeholder = placeholder.into();
        self
    }

    pub(crate) fn help(mut self, help: String) -> Self {
        self.help = Some(help);
        self
    }

    pub(crate) fn error(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }

    pub(crate) fn optional(mut self, word: String) -> Self {
        self.required = false;
        self.optional_word = Some(word);
        self
    }

    pub(crate) fn max(mut self, max: u16) -> Self {
        self.max = max;
        self
    }

    pub(crate) fn class(mut self, class: &'a str) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html(self.render().unwrap_or_default())
    }
}

/// Helpers the templates call on their locale.
impl Locale {
    pub(crate) fn chip(self, state: &State) -> Html {
        chip(state.tone(), &state.word(self))
    }

    pub(crate) fn shopper_chip(self, state: &State) -> Html {
        chip(state.tone(), &state.shopper_word(self))
    }

    pub(crate) fn delivery_chip(self, state: &DeliveryState) -> Html {
        chip(state.tone(), &state.word(self))
    }

    /// A full moment with UTC on hover.
    pub(crate) fn moment(self, at: &Timestamp) -> Html {
        time(*at, &format::moment(*at, self))
    }

    /// A short moment for lists, with UTC on hover.
    pub(crate) fn brief(self, at: &Timestamp, now: &Timestamp) -> Html {
        time(*at, &format::brief(*at, *now, self))
    }

    /// How long ago, with UTC on hover.
    pub(crate) fn ago(self, at: &Timestamp, now: &Timestamp) -> Html {
        time(*at, &format::ago(*at, *now, self))
    }

    pub(crate) fn seconds(self, at: &Timestamp) -> String {
        format::clock_seconds(*at)
    }

    pub(crate) fn utc(self, at: &Timestamp) -> String {
        format::utc(*at)
    }

    pub(crate) fn left(self, deadline: &Timestamp, now: &Timestamp) -> String {
        format::left(*deadline, *now, self)
    }

    /// A method's or store's mark, drawn in the page.
    pub(crate) fn mark(self, slug: &str) -> Html {
        Html(crate::mark_svg(slug))
    }

    /// What a method is called.
    pub(crate) fn method_name(self, slug: &str) -> String {
        let key = format!("method-{slug}");
        if self.has(&key) {
            self.t(&key)
        } else {
            title_case(slug)
        }
    }

    /// What a konbini chain is called.
    pub(crate) fn store_name(self, slug: &str) -> String {
        self.store_label(slug).replace('\u{200b}', "")
    }

    /// The same for a narrow tile, with the places where it may be broken.
    pub(crate) fn store_label(self, slug: &str) -> String {
        let key = format!("store-{slug}");
        if self.has(&key) {
            self.t(&key)
        } else {
            title_case(slug)
        }
    }

    /// A person's name as this language writes it.
    pub(crate) fn person(self, name: &str) -> String {
        self.t1("person", "name", name)
    }
}

/// `credit_card` as `Credit Card`: better than an underscore when a method is newer than our texts.
fn title_case(slug: &str) -> String {
    let words = slug.split(['_', '-']).map(|word| {
        let mut chars = word.chars();
        chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html)
        .map(|safe| safe.to_string())
        .unwrap_or_default()
}

fn chip(tone: Tone, word: &str) -> Html {
    Html(format!(
        "<span class=\"chip {}\"><i aria-hidden=\"true\"></i>{}</span>",
        tone.class(),
        escape(word)
    ))
}

fn time(at: Timestamp, text: &str) -> Html {
    Html(format!(
        "<time datetime=\"{at}\" title=\"{}\">{}</time>",
        format::utc(at),
        escape(text)
    ))
}

/// A space or line break after a sentence where the language needs one.
pub(crate) fn join_sentences(sentences: &[String], locale: Locale) -> String {
    sentences.join(locale.gap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_query_parameter_keeps_the_others() {
        assert_eq!(with_query("/a", "locale", "en"), "/a?locale=en");
        assert_eq!(with_query("/a?locale=ja&q=x", "locale", "en"), "/a?q=x&locale=en");
    }

    #[test]
    fn a_method_newer_than_our_texts_still_has_a_readable_name() {
        assert_eq!(Locale::En.method_name("new_pay"), "New Pay");
    }
}
