//! A configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadow_userspace::fuzzing::config(data));
