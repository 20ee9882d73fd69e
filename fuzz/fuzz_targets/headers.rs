#![no_main]

#[allow(dead_code)]
#[path = "../../msgstream-core/tests/decoders/mod.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoders::headers(data));
