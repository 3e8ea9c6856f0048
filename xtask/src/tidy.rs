use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// Which of our crates each of our crates builds on, as cargo sees it; development dependencies apart.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let needs = package["dependencies"].as_array().expect("dependencies").iter();
            let needs = needs
                .filter(|dependency| dependency["kind"].is_null())
                .filter_map(|dependency| dependency["name"].as_str())
                .map(ToOwned::to_owned)
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), needs)
        })
        .collect()
}

fn ours(needs: &BTreeSet<String>) -> BTreeSet<&str> {
    needs
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("kessai"))
        .collect()
}

#[test]
fn arrows_between_crates_never_turn_back() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("kessai-core", &[][..]),
        ("kessai-provider", &["kessai-core"]),
        ("kessai-provider-komoju", &["kessai-core", "kessai-provider"]),
        ("kessai-store", &["kessai-core"]),
        ("kessai-jobs", &["kessai-core", "kessai-store"]),
        (
            "kessai-engine",
            &["kessai-core", "kessai-jobs", "kessai-provider", "kessai-store"],
        ),
        // Drives real processes from outside; reads their database to compare books.
        ("kessai-torture", &["kessai-store"]),
        ("kessai-web", &["kessai-core"]),
        (
            "kessai-http",
            &[
                "kessai-core",
                "kessai-engine",
                "kessai-provider",
                "kessai-store",
                "kessai-web",
            ],
        ),
        // For tests and fuzzers only; nothing builds on these.
        ("kessai-model", &["kessai-core", "kessai-jobs", "kessai-store"]),
        (
            "kessai-fuzzing",
            &[
                "kessai-core",
                "kessai-engine",
                "kessai-http",
                "kessai-provider",
                "kessai-provider-komoju",
                "kessai-store",
                "kessai-web",
            ],
        ),
        ("kessai-fuzz", &["kessai-fuzzing"]),
        (
            "kessai",
            &[
                "kessai-core",
                "kessai-engine",
                "kessai-http",
                "kessai-jobs",
                "kessai-provider",
                "kessai-provider-komoju",
                "kessai-store",
                "kessai-web",
            ],
        ),
        (
            "kessai-sim",
            &[
                "kessai-core",
                "kessai-engine",
                "kessai-http",
                "kessai-jobs",
                "kessai-provider",
                "kessai-provider-komoju",
                "kessai-store",
            ],
        ),
    ]);
    for (name, needs) in arrows() {
        if name == "xtask" {
            continue;
        }
        let Some(allowed) = allowed.get(name.as_str()) else {
            panic!("{name} is new: draw its arrows here and in ARCHITECTURE.md");
        };
        for need in ours(&needs) {
            assert!(
                allowed.contains(&need),
                "{name} must not know {need}: see ARCHITECTURE.md, \"The arrows\""
            );
        }
    }
}

#[test]
fn database_drivers_stay_in_the_store_and_axum_in_the_doors() {
    // The provider kit keeps a sandbox's books in a SQLite file of its own, behind its own types (docs/adr/0004).
    let homes: [(&str, &[&str]); 5] = [
        ("rusqlite", &["kessai-store", "kessai-provider"]),
        ("tokio-postgres", &["kessai-store"]),
        ("axum", &["kessai-http", "kessai", "kessai-sim"]),
        ("reqwest", &["kessai", "kessai-torture"]),
        ("clap", &["kessai", "kessai-sim", "kessai-torture"]),
    ];
    for (name, needs) in arrows() {
        for (library, allowed) in homes {
            assert!(
                !needs.contains(library) || allowed.contains(&name.as_str()),
                "{name} must not use {library}: it belongs to {allowed:?}"
            );
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                if entry
                    .file_name()
                    .is_none_or(|name| name != "target" && name != "node_modules")
                {
                    walk(&entry, found);
                }
            } else if entry.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&entry).expect("UTF-8");
                found.push((entry, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("crates"), &mut found);
    found
}

#[test]
fn engine_and_doors_never_name_a_provider() {
    let names = [
        "\"komoju\"",
        "\"atone\"",
        "\"levica\"",
        "\"gmopg\"",
        "provider_komoju",
    ];
    for (path, text) in sources() {
        let shown = path.display().to_string();
        let product = shown.contains("/engine/src/") || shown.contains("/http/src/");
        if !product {
            continue;
        }
        // Tests at the foot of a file may use any provider.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(
                !names.iter().any(|name| line.contains(name)),
                "{shown} names a provider: {line}"
            );
        }
    }
}

#[test]
fn no_loose_ends_in_the_code() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
    ];
    for (path, text) in sources() {
        for mark in marks {
            assert!(
                !text.contains(mark),
                "{}: {mark}: finish it, or write it into docs/",
                path.display()
            );
        }
    }
}

#[test]
fn migrations_of_both_backends_have_the_same_numbers() {
    let names = |backend: &str| {
        let folder = root().join("crates/store/migrations").join(backend);
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("migrations")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
