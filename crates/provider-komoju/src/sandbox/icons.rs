//! Simple marks of our own for payment methods; nobody's trademark.
use super::html::{Esc, asset};
use super::methods::{self, Flow};
use kessai_provider::transport::Reply;

/// `/payment_methods/{slug}.svg`
pub(super) fn icon(slug: &str) -> Option<Reply> {
    let spec = methods::find(slug.strip_prefix("konbini-").map_or(slug, |_| "konbini"))?;
    // A colour of its own for every method, from its name.
    let hue = spec
        .slug
        .bytes()
        .fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    let mark = match (spec.flow, spec.slug) {
        (Flow::Card, _) => {
            "<path d='M8 14h32M12 26h8' stroke-width='4'/><rect x='7' y='8' width='34' height='24' rx='4'/>"
        }
        (_, "konbini") => "<path d='M8 16h32M10 16v16h28V16M10 16l3-8h22l3 8M20 32v-9h8v9'/>",
        (_, "bank_transfer") => "<path d='M8 16L24 7l16 9zM12 18v10M20 18v10M28 18v10M36 18v10M8 32h32'/>",
        (_, "pay_easy") => "<path d='M8 32V8h22l10 12-10 12zM15 20h14'/>",
        (Flow::Prepaid, _) => {
            "<rect x='8' y='10' width='32' height='20' rx='3'/><path d='M14 24h3M20 24h3M26 24h3M32 24h2'/>"
        }
        (Flow::Offsite | Flow::Slip, _) => {
            "<rect x='15' y='6' width='18' height='28' rx='4'/><path d='M21 29h6M20 17l3 3 6-6'/>"
        }
    };
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 48 40' role='img'><title>{}</title>\
         <rect width='48' height='40' rx='6' fill='hsl({hue} 45% 94%)'/>\
         <g fill='none' stroke='hsl({hue} 55% 32%)' stroke-width='2.4' stroke-linejoin='round' stroke-linecap='round'>{mark}</g></svg>",
        Esc(spec.en),
    );
    Some(asset("image/svg+xml", svg))
}
