//! The two languages, how one is chosen, and looking text up.
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::LazyLock;
use unic_langid::{LanguageIdentifier, langid};

const JA: &[&str] = &[
    include_str!("../locales/ja/common.ftl"),
    include_str!("../locales/ja/shopper.ftl"),
    include_str!("../locales/ja/errors.ftl"),
    include_str!("../locales/ja/office.ftl"),
    include_str!("../locales/ja/demo.ftl"),
];
const EN: &[&str] = &[
    include_str!("../locales/en/common.ftl"),
    include_str!("../locales/en/shopper.ftl"),
    include_str!("../locales/en/errors.ftl"),
    include_str!("../locales/en/office.ftl"),
    include_str!("../locales/en/demo.ftl"),
];

type Bundle = FluentBundle<FluentResource>;

static JA_BUNDLE: LazyLock<Bundle> = LazyLock::new(|| bundle(langid!("ja"), JA));
static EN_BUNDLE: LazyLock<Bundle> = LazyLock::new(|| bundle(langid!("en"), EN));

fn bundle(language: LanguageIdentifier, sources: &[&str]) -> Bundle {
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // The marks that isolate an inserted value from right-to-left text would end up inside copied numbers.
    bundle.set_use_isolating(false);
    for source in sources {
        let resource = FluentResource::try_new((*source).to_owned()).expect("the embedded text files parse");
        bundle.add_resource(resource).expect("no key is defined twice");
    }
    bundle
}

/// A language of the pages. Japanese comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Locale {
    /// 日本語
    #[default]
    Ja,
    /// English
    En,
}

impl Locale {
    /// Both, Japanese first.
    pub const ALL: [Self; 2] = [Self::Ja, Self::En];

    /// The language tag: `ja` or `en`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }

    /// The other language, for the switch in the page head.
    pub const fn other(self) -> Self {
        match self {
            Self::Ja => Self::En,
            Self::En => Self::Ja,
        }
    }

    /// Whether this is Japanese.
    pub const fn is_ja(self) -> bool {
        matches!(self, Self::Ja)
    }

    /// What stands between two sentences: nothing in Japanese, a space in English.
    pub const fn gap(self) -> &'static str {
        if self.is_ja() { "" } else { " " }
    }

    /// Reads a language tag such as `ja`, `en-GB` or `EN_us`. A language we do not speak is `None`.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|locale| locale.tag().eq_ignore_ascii_case(primary))
    }

    /// Chooses: the `?locale=` the reader asked for, else what the shop set for the session, else what the browser
    /// prefers, else Japanese.
    pub fn negotiate(
        query_override: Option<&str>,
        session_default: Option<&str>,
        accept_language: Option<&str>,
    ) -> Self {
        query_override
            .and_then(Self::from_tag)
            .or_else(|| session_default.and_then(Self::from_tag))
            .or_else(|| accept_language.and_then(Self::from_accept_language))
            .unwrap_or_default()
    }

    /// The best of an `Accept-Language` header. Weights are compared in thousandths: no floating point needed.
    fn from_accept_language(header: &str) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for item in header.split(',').take(32) {
            let mut parts = item.split(';');
            let Some(locale) = parts.next().and_then(Self::from_tag) else {
                continue;
            };
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1000, |q| thousandths(q).unwrap_or(0));
            if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, locale));
            }
        }
        best.map(|(_, locale)| locale)
    }

    /// The text of a key. A missing key is drawn as `⟦key⟧`, which the tests refuse.
    pub fn t(self, key: &str) -> String {
        self.lookup(key, None)
    }

    /// The text of a key with one value in it.
    pub fn t1(self, key: &str, name: &'static str, value: impl Display) -> String {
        let mut args = FluentArgs::new();
        args.set(name, FluentValue::from(value.to_string()));
        self.lookup(key, Some(&args))
    }

    /// The text of a key with two values in it.
    pub fn t2(
        self,
        key: &str,
        name: &'static str,
        value: impl Display,
        second_name: &'static str,
        second: impl Display,
    ) -> String {
        let mut args = FluentArgs::new();
        args.set(name, FluentValue::from(value.to_string()));
        args.set(second_name, FluentValue::from(second.to_string()));
        self.lookup(key, Some(&args))
    }

    /// The text of a key that counts something (English needs one and many).
    pub fn count(self, key: &str, n: impl Borrow<i64>) -> String {
        let mut args = FluentArgs::new();
        args.set("n", FluentValue::from(*n.borrow()));
        self.lookup(key, Some(&args))
    }

    /// Whether a key exists.
    pub fn has(self, key: &str) -> bool {
        self.bundle().has_message(key)
    }

    fn bundle(self) -> &'static Bundle {
        match self {
            Self::Ja => &JA_BUNDLE,
            Self::En => &EN_BUNDLE,
        }
    }

    fn lookup(self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return format!("⟦{key}⟧");
        };
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, args, &mut errors);
        if errors.is_empty() {
            text.into_owned()
        } else {
            format!("⟦{key}: {text}⟧")
        }
    }
}

fn thousandths(q: &str) -> Option<u32> {
    let (whole, fraction) = q.trim().split_once('.').unwrap_or((q.trim(), ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u32>().ok()?.min(1) * 1000 + digits.parse::<u32>().ok()?).map(|w| w.min(1000))
}

/// The keys of one language and the names of the values each needs, for the test that both languages agree.
pub type TextKeys = BTreeSet<String>;

/// Every key of a language, in the form `key` or `key $a $b` when its text takes values.
pub fn text_keys(locale: Locale) -> TextKeys {
    let sources = match locale {
        Locale::Ja => JA,
        Locale::En => EN,
    };
    let mut keys = TextKeys::new();
    let mut current: Option<(String, BTreeSet<String>)> = None;
    let mut flush = |entry: Option<(String, BTreeSet<String>)>| {
        if let Some((key, names)) = entry {
            keys.insert(names.into_iter().fold(key, |text, name| text + " $" + &name));
        }
    };
    for line in sources.iter().flat_map(|source| source.lines()) {
        let starts_key = line.starts_with(|c: char| c.is_ascii_alphabetic());
        if starts_key && let Some((key, _)) = line.split_once('=') {
            flush(current.take());
            current = Some((key.trim().to_owned(), BTreeSet::new()));
        }
        if let Some((_, names)) = &mut current {
            for piece in line.split('$').skip(1) {
                let end = piece
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(piece.len());
                names.insert(piece[..end].to_owned());
            }
        }
    }
    flush(current);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_wish_beats_the_shops_which_beats_the_browsers() {
        for (query, session, accept, expected) in [
            (Some("en"), Some("ja"), Some("ja"), Locale::En),
            (Some("fr"), Some("en"), None, Locale::En),
            (None, Some("ko"), Some("en-US,ja;q=0.5"), Locale::En),
            (None, None, Some("fr, en;q=0.2, ja;q=0.8"), Locale::Ja),
            (None, None, Some("en;q=0, ja;q=0.1"), Locale::Ja),
            (None, None, Some("fr-FR"), Locale::Ja),
            (None, None, Some(";;;q=,=,"), Locale::Ja),
            (None, None, None, Locale::Ja),
        ] {
            assert_eq!(
                Locale::negotiate(query, session, accept),
                expected,
                "{query:?} {session:?} {accept:?}"
            );
        }
    }

    #[test]
    fn both_languages_have_the_same_keys_taking_the_same_values() {
        let (ja, en) = (text_keys(Locale::Ja), text_keys(Locale::En));
        assert!(ja.len() > 200, "the files are read: {}", ja.len());
        assert_eq!(
            ja.difference(&en).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "only in Japanese"
        );
        assert_eq!(
            en.difference(&ja).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "only in English"
        );
    }

    #[test]
    fn a_missing_key_is_visible() {
        assert_eq!(Locale::En.t("no-such-key"), "⟦no-such-key⟧");
    }
}
