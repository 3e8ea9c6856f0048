//! What a page needs its Content-Security-Policy to allow.
use std::collections::BTreeSet;

/// The origins a page talks to besides our own. Everything not named is forbidden.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Csp {
    /// Where its scripts may send requests: a provider's token endpoint.
    pub connect: BTreeSet<String>,
    /// What it may frame: a provider's 3-D Secure page.
    pub frame: BTreeSet<String>,
    /// Where its forms may lead. Browsers hold redirects after a post to this too, so a page whose form ends at a
    /// wallet needs the wallet's origin here; `https:` as a whole where it is not known beforehand.
    pub form: BTreeSet<String>,
    /// Where its pictures come from: the shop's product images.
    pub image: BTreeSet<String>,
    /// Whether one of our own pages may frame it (the page a bank returns to inside the frame).
    pub framed_by_us: bool,
}

impl Csp {
    /// The header's value.
    pub fn header(&self) -> String {
        let list = |own: &str, more: &BTreeSet<String>| {
            more.iter()
                .fold(own.to_owned(), |text, origin| text + " " + origin)
        };
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src {}; connect-src {}; frame-src {}; \
             form-action {}; frame-ancestors {}; base-uri 'none'",
            list("'self' data:", &self.image),
            list("'self'", &self.connect),
            list("'self'", &self.frame),
            list("'self'", &self.form),
            if self.framed_by_us { "'self'" } else { "'none'" },
        )
    }
}

/// `https://host:port` of a URL, or `None` when it is not an http(s) URL with a plain host. What does not look like a
/// host is refused, so that no text from outside can add a directive to the header.
pub(crate) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "https" | "http") {
        return None;
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    plain.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_origins_reach_the_header() {
        assert_eq!(
            origin("https://komoju.com/api/v1/tokens").as_deref(),
            Some("https://komoju.com")
        );
        assert_eq!(
            origin("http://127.0.0.1:4100/x").as_deref(),
            Some("http://127.0.0.1:4100")
        );
        for bad in [
            "javascript:alert(1)",
            "https://a; script-src *",
            "https://",
            "//host/x",
            "https://u@h/",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_is_allowed_that_was_not_asked_for() {
        let header = Csp::default().header();
        assert!(header.starts_with("default-src 'none'"));
        assert!(header.contains("frame-ancestors 'none'"));
        assert!(!header.contains("unsafe"));
    }
}
