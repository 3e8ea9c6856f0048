#![cfg_attr(fuzzing, no_main)]
//! Drives the target `urls`; without the fuzzer, runs the files it is given through it.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kessai_fuzzing::target("urls")(bytes));

#[cfg(not(fuzzing))]
fn main() {
    kessai_fuzzing::replay("urls");
}
