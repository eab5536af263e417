#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| camunda_admin::fuzzing::token_response(data));
