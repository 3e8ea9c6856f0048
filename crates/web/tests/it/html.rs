//! Just enough of an HTML reader to check our own pages: strict, so that a slip in a template is found.
use std::collections::BTreeMap;

const VOID: [&str; 8] = ["meta", "link", "input", "img", "br", "hr", "source", "wbr"];

/// An opened or a closed element, in order.
#[derive(Debug)]
pub enum Event {
    /// `<tag attributes>`; `empty` when nothing can be in it.
    Open {
        tag: String,
        attributes: BTreeMap<String, String>,
        empty: bool,
    },
    /// `</tag>`
    Close(String),
}

/// Reads a page. Panics on what a browser would have to guess at.
pub fn events(html: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with('!') {
            rest = &rest[rest.find('>').expect("doctype ends") + 1..];
            continue;
        }
        if let Some(after) = rest.strip_prefix('/') {
            let end = after.find('>').expect("a closing tag ends");
            events.push(Event::Close(after[..end].to_owned()));
            rest = &after[end + 1..];
            continue;
        }
        let name_end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .expect("a tag ends");
        assert!(
            name_end > 0,
            "a bare < before {:?}",
            &rest.chars().take(30).collect::<String>()
        );
        let tag = rest[..name_end].to_owned();
        rest = &rest[name_end..];
        let mut attributes = BTreeMap::new();
        let self_closed = loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                break true;
            }
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break false;
            }
            let end = rest
                .find(|c: char| c == '=' || c == '>' || c.is_whitespace())
                .expect("an attribute ends");
            let name = rest[..end].to_owned();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let end = quoted.find('"').expect("a value ends");
                value = quoted[..end].to_owned();
                rest = &quoted[end + 1..];
            } else {
                assert!(!rest.starts_with('='), "unquoted value of {name} in <{tag}>");
            }
            assert!(
                attributes.insert(name.clone(), value).is_none(),
                "{name} twice in <{tag}>"
            );
        };
        let empty = self_closed || VOID.contains(&tag.as_str());
        events.push(Event::Open {
            tag,
            attributes,
            empty,
        });
    }
    events
}
