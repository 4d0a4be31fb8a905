//! A JSON body, a query and cookies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadow_userspace::fuzzing::redact(data));
