#![cfg_attr(fuzzing, no_main)]
//! Drives the target `headers`; without the fuzzer, runs the files it is given through it.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kessai_fuzzing::target("headers")(bytes));

#[cfg(not(fuzzing))]
fn main() {
    kessai_fuzzing::replay("headers");
}
