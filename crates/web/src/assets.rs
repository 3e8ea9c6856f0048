//! Style sheet, scripts and marks, embedded, each under a URL that changes with its content.
use rust_embed::RustEmbed;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "assets"]
struct Embedded;

struct Known {
    url: String,
    name: String,
}

/// By name (`kessai.css`), and by the file part of the URL (`kessai.0123456789abcdef.css`).
static BY_NAME: LazyLock<BTreeMap<String, Known>> = LazyLock::new(|| {
    Embedded::iter()
        .map(|name| {
            let file = Embedded::get(&name).expect("a listed file is embedded");
            let hash = hex::encode(&file.metadata.sha256_hash()[..8]);
            let (stem, extension) = name.rsplit_once('.').expect("every asset has an extension");
            let url = format!("/assets/{stem}.{hash}.{extension}");
            (
                name.to_string(),
                Known {
                    url,
                    name: name.to_string(),
                },
            )
        })
        .collect()
});

static BY_URL: LazyLock<BTreeMap<&'static str, &'static Known>> = LazyLock::new(|| {
    BY_NAME
        .values()
        .map(|known| (known.url.as_str(), known))
        .collect()
});

/// The URL of an asset by its name, such as `kessai.css`: `/assets/kessai.0123456789abcdef.css`.
///
/// # Panics
/// If there is no such asset: names are literals in our templates and each is rendered in a test.
pub fn asset_url(name: &str) -> &'static str {
    &BY_NAME
        .get(name)
        .unwrap_or_else(|| panic!("no asset is called {name}"))
        .url
}

/// The bytes and media type for a URL path made by [`asset_url`], with or without its `/assets/`. Whatever is found may
/// be cached for ever; a name whose hash is not that of our content is not found.
pub fn asset(path: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
    let file = path.strip_prefix("/assets/").unwrap_or(path);
    let known = BY_URL.get(format!("/assets/{file}").as_str())?;
    let embedded = Embedded::get(&known.name)?;
    Some((embedded.data, mime(&known.name)))
}

/// Every asset's URL path, bytes and media type.
pub fn assets() -> impl Iterator<Item = (&'static str, Cow<'static, [u8]>, &'static str)> {
    BY_NAME.values().filter_map(|known| {
        Embedded::get(&known.name).map(|file| (known.url.as_str(), file.data, mime(&known.name)))
    })
}

/// The mark of a payment method or konbini store as SVG text; one we have no drawing of gets the general one.
pub fn mark_svg(slug: &str) -> String {
    let file = Embedded::get(&format!("marks/{}.svg", mark_name(slug)))
        .or_else(|| Embedded::get("marks/offsite.svg"))
        .expect("the general mark is embedded");
    String::from_utf8(file.data.into_owned()).expect("marks are text")
}

fn mark_name(slug: &str) -> &str {
    match slug {
        "credit_card_korea" | "credit_card_brazil" => "credit_card",
        "bank" | "mybank" => "bank_transfer",
        other => other,
    }
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_under_its_hashed_url_and_no_other() {
        let url = asset_url("kessai.css");
        let (bytes, media) = asset(url).expect("found");
        assert!(!bytes.is_empty());
        assert_eq!(media, "text/css; charset=utf-8");
        assert!(asset(url.trim_start_matches("/assets/")).is_some());
        for wrong in [
            "/assets/kessai.css",
            "/assets/kessai.0000000000000000.css",
            "/assets/../Cargo.toml",
            "",
        ] {
            assert!(asset(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn every_asset_is_served_with_a_known_media_type_and_stays_small() {
        for (url, bytes, media) in assets() {
            assert_ne!(media, "application/octet-stream", "{url}");
            assert!(bytes.len() < 64 * 1024, "{url} has {} bytes", bytes.len());
        }
    }

    #[test]
    fn a_method_without_a_drawing_gets_the_general_mark() {
        assert_eq!(mark_svg("no_such_method"), mark_svg("offsite"));
        assert_ne!(mark_svg("konbini"), mark_svg("offsite"));
    }
}
