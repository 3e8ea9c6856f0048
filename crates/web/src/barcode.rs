//! Code 128 as SVG, for konbini slips.
use barcoders::sym::code128::Code128;
use std::fmt::Write as _;

/// The most characters a slip's barcode may have; the longest in use has 44 digits.
const MAX_LENGTH: usize = 64;

/// Draws a Code 128 barcode that scales with its box. `None` when the text holds what the code cannot
/// (only printable ASCII is taken) or is too long to scan.
///
/// The drawing is black on white in the dark scheme too: scanners need it.
pub fn code128_svg(data: &str, label: &str) -> Option<String> {
    if data.is_empty() || data.len() > MAX_LENGTH || !data.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return None;
    }
    // Set C packs two digits into one symbol, so an even run of digits gets half as wide.
    let all_digits = data.bytes().all(|b| b.is_ascii_digit());
    let set = if all_digits && data.len().is_multiple_of(2) {
        '\u{0106}'
    } else {
        '\u{0181}'
    };
    let bars = Code128::new(format!("{set}{data}")).ok()?.encode();
    const QUIET: usize = 10;
    let (width, height) = (bars.len() + 2 * QUIET, 48);
    let label = askama::filters::escape(label, askama::filters::Html).ok()?;
    let mut svg = format!(
        r##"<svg class="barcode" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" aria-label="{label}"><path fill="#fff" d="M0 0h{width}v{height}H0z"/><path fill="#000" shape-rendering="crispEdges" d=""##
    );
    let mut at = 0;
    while at < bars.len() {
        let run = bars[at..].iter().take_while(|&&bar| bar == bars[at]).count();
        if bars[at] == 1 {
            let _ = write!(svg, "M{} 4h{run}v40h-{run}z", at + QUIET);
        }
        at += run;
    }
    svg.push_str("\"/></svg>");
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_take_half_the_width_and_other_text_works() {
        let digits = code128_svg("91900123456789012345", "番号").expect("drawn");
        let text = code128_svg("9190012345678901234X", "番号").expect("drawn");
        let width = |svg: &str| {
            let rest = &svg[svg.find("viewBox=\"0 0 ").expect("has a view box") + 13..];
            rest[..rest.find(' ').expect("width ends")]
                .parse::<usize>()
                .expect("a number")
        };
        assert!(width(&digits) < width(&text));
    }

    #[test]
    fn what_cannot_be_a_barcode_is_refused_and_the_label_cannot_break_out() {
        assert_eq!(code128_svg("", "x"), None);
        assert_eq!(code128_svg("決済", "x"), None);
        assert_eq!(code128_svg(&"1".repeat(65), "x"), None);
        let svg = code128_svg("12", "\"><script>").expect("drawn");
        assert!(!svg.contains("<script"));
    }
}
