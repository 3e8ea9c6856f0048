//! `docs/problems.md` is the table of codes, printed. `UPDATE=1 cargo test -p kessai-engine --test problems` writes it anew.
use kessai_engine::problem::{CODES, Problem};
use std::path::Path;

const HEAD: &str = "\
# Problems

Every error code the API answers with. Generated from `crates/engine/src/problem.rs`; to write this page anew, run
`UPDATE=1 cargo test -p kessai-engine --test problems`.

An error travels in KOMOJU's envelope. `param` names the parameter to blame, or is null. A failed
`POST /api/v1/sessions/{id}/pay` has `\"status\":\"error\"` beside `error`.

```json
";

const AFTER_EXAMPLE: &str = "
```

- Codes are forever. Messages may change and may be more precise than the usual one below: do not compare them.
- Declines travel with HTTP 502, as KOMOJU sends them. Read the code, not only the status.
- An unknown outcome is no error. It is 202 and a payment with `operation`, such as `capture_pending`; paying a session, it
  is 200 and `\"status\":\"pending\"`.
- *Kept* says whether the answer is remembered for the request's idempotency key. One that is not kept can be asked again
  with the same key.
- 401 comes with `WWW-Authenticate`, 503 with `Retry-After: 1`.

| Code | HTTP | Usual message | What to do | Kept |
|---|---|---|---|---|
";

fn rendered() -> String {
    let mut page = HEAD.to_owned() + &Problem::missing("amount").body() + AFTER_EXAMPLE;
    for code in CODES {
        let kept = if Problem::new(code.name).is_kept() {
            "yes"
        } else {
            "no"
        };
        page += &format!(
            "| `{}` | {} | {} | {} | {kept} |\n",
            code.name, code.status, code.message, code.advice
        );
    }
    page
}

#[test]
fn the_page_of_problems_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems.md");
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(&path, rendered()).expect("docs/problems.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered(),
        "docs/problems.md is stale: UPDATE=1 cargo test -p kessai-engine --test problems"
    );
}

#[test]
fn every_row_of_the_page_is_one_line_of_a_table() {
    for code in CODES {
        assert!(
            ![code.message, code.advice]
                .iter()
                .any(|text| text.contains(['|', '\n'])),
            "{}",
            code.name
        );
    }
}
