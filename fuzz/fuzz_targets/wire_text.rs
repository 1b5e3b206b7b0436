#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtalab::fuzzing::wire_text(bytes));
