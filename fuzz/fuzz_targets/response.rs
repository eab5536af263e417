#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| camunda_admin::fuzzing::response(data));
