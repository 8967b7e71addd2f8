#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| srs_lite::fuzzing::sps(data));
