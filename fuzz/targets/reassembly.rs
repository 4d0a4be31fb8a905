//! Any bytes as a script of segments, for the reassembler and its model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadow_userspace::fuzzing::reassembly(data));
