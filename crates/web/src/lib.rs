//! Every page a person sees: typed contexts, templates, Japanese and English text, assets and sample data.
//!
//! A page is a plain struct; [`render`] turns it into HTML in one [`Locale`]. Nothing here knows axum, does I/O or
//! reads a clock: contexts carry `now`. Each page states what its Content-Security-Policy needs in [`Page::csp`] and
//! can make sample data of itself ([`Page::samples`]), which the tests render in both languages and
//! `examples/gallery.rs` writes to a folder to be looked at.
//!
//! * what a shopper sees: [`checkout`], [`instructions`], [`shopper`]
//! * what a clerk sees: [`office`]
//! * the demo shop: [`demo`]; the API reference: [`api_docs`]

pub mod api_docs;
mod assets;
mod barcode;
pub mod checkout;
mod csp;
pub mod demo;
pub mod errors;
pub mod format;
pub mod instructions;
mod locale;
pub mod office;
mod parts;
pub mod shopper;
mod words;

pub use assets::{asset, asset_url, assets, mark_svg};
pub use barcode::code128_svg;
pub use csp::Csp;
pub use locale::{Locale, TextKeys, text_keys};
pub use parts::{Frame, Html, Notice};
pub use words::{DeliveryState, State, Tone};

/// A page: data that knows its template.
pub trait Page {
    /// The page as HTML. Fails only if a template's own formatting does, which would be a bug of this crate.
    fn html(&self, locale: Locale) -> Result<String, askama::Error>;

    /// What the page needs beyond `'self'`. Without the right policy a page may be drawn but not work.
    fn csp(&self) -> Csp {
        Csp::default()
    }

    /// Data that shows the page in each of its states, with a short name for each.
    fn samples() -> Vec<(&'static str, Self)>
    where
        Self: Sized;
}

/// Renders a page.
///
/// # Panics
/// If a template's formatting fails, which none of ours can.
pub fn render(page: &impl Page, locale: Locale) -> String {
    page.html(locale)
        .expect("our templates write to a String and use no fallible filter")
}

/// Ties a context to its template: `page!(Checkout, "shopper/checkout.html", |page| csp);`
macro_rules! page {
    ($context:ident, $view:ident, $template:tt) => {
        $crate::page!($context, $view, $template, |_page: &$context| {
            $crate::Csp::default()
        });
    };
    ($context:ident, $view:ident, $template:tt, $csp:expr) => {
        #[derive(askama::Template)]
        #[template(path = $template)]
        struct $view<'a> {
            p: &'a $context,
            l: $crate::Locale,
        }

        impl $crate::Page for $context {
            fn html(&self, locale: $crate::Locale) -> Result<String, askama::Error> {
                askama::Template::render(&$view { p: self, l: locale })
            }

            fn csp(&self) -> $crate::Csp {
                let csp: fn(&$context) -> $crate::Csp = $csp;
                csp(self)
            }

            fn samples() -> Vec<(&'static str, Self)> {
                Self::sample_data()
            }
        }
    };
}
pub(crate) use page;

/// The instant all sample data is told from: 2026-11-21 14:05 in Tokyo, a Saturday.
pub(crate) fn sample_now() -> jiff::Timestamp {
    sample_time("2026-11-21T05:05:00Z")
}

/// An instant of sample data.
pub(crate) fn sample_time(text: &str) -> jiff::Timestamp {
    text.parse().expect("sample data holds valid instants")
}
