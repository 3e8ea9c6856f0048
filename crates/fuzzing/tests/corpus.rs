//! The inputs that were kept, through the same functions that the fuzzers drive.
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).expect("readable");
            (path, bytes)
        })
        .collect()
}

#[test]
fn every_kept_input_and_its_beginnings_are_read_or_refused_as_they_should_be() {
    for (name, target) in kessai_fuzzing::TARGETS {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for (path, bytes) in inputs {
            let run = std::panic::catch_unwind(|| {
                target(&bytes);
                // What broke off: a tenth of its beginnings, at most a hundred.
                let step = (bytes.len() / 100).max(10);
                (0..bytes.len())
                    .step_by(step)
                    .for_each(|end| target(&bytes[..end]));
            });
            assert!(run.is_ok(), "{} breaks {name}: see above", path.display());
        }
    }
}

#[test]
fn every_target_has_its_fuzzer_and_the_corpus_stays_small() {
    let fuzzers = corpus().join("../fuzz_targets");
    let manifest = std::fs::read_to_string(corpus().join("../Cargo.toml")).expect("fuzz/Cargo.toml");
    for (name, _) in kessai_fuzzing::TARGETS {
        assert!(
            fuzzers.join(format!("{name}.rs")).is_file(),
            "fuzz/fuzz_targets/{name}.rs is missing"
        );
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "fuzz/Cargo.toml lacks {name}"
        );
    }
    let size: usize = kessai_fuzzing::TARGETS
        .iter()
        .flat_map(|(name, _)| inputs(name))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(size < 200 * 1024, "{size} bytes are kept");
}
