//! What must hold of every parser of outside bytes, whatever the bytes are.
//!
//! Each target is a function of bytes that returns when all is well and panics when something is not. A fuzzer drives it from `fuzz/`, and
//! `tests/corpus.rs` replays the kept inputs through the same function on every run of the tests. See docs/fuzzing.md.

mod bodies;
mod komoju;
mod texts;

/// One target: it panics when a property does not hold.
pub type Target = fn(&[u8]);

/// Every target by the name that its folder under `fuzz/corpus` has.
pub const TARGETS: [(&str, Target); 10] = [
    ("api_json", bodies::api_json),
    ("api_form", bodies::api_form),
    ("api_multipart", bodies::api_multipart),
    ("api_query", bodies::api_query),
    ("office_query", texts::office_query),
    ("headers", texts::headers),
    ("urls", texts::urls),
    ("ids", texts::ids),
    ("komoju_reply", komoju::reply),
    ("komoju_webhook", komoju::webhook),
];

/// The target of that name.
///
/// # Panics
/// When there is none.
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no target {name}")).1
}

/// Dice that always fall alike.
pub(crate) struct Loaded;

impl kessai_core::Entropy for Loaded {
    fn fill(&self, into: &mut [u8]) {
        into.fill(7);
    }
}

/// Runs every file named on the command line through a target, to see on plain stable what a fuzzer found.
///
/// # Panics
/// When a property does not hold, or a file cannot be read.
pub fn replay(name: &str) {
    let target = target(name);
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&path).expect("a readable file");
        println!("{name}: {} ({} bytes)", path.display(), bytes.len());
        target(&bytes);
    }
}
