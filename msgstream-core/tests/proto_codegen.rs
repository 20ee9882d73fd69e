//! The generated code that is checked in is what the .proto files give.
//!
//! After a change of a .proto file run this test with `UPDATE_PROTO=1`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

#[test]
fn generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let protos = root.join("proto");
    let files = ["base.proto", "data.proto", "schema.proto", "query.proto", "cluster.proto"];
    let descriptors = protox::compile(files.map(|f| protos.join(f)), [&protos]).unwrap();

    let out_dir = env!("CARGO_TARGET_TMPDIR");
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        .out_dir(out_dir)
        .compile_fds(descriptors)
        .unwrap();
    // A file for each package.
    for package in ["", ".data", ".schema", ".query", ".cluster"] {
        let name = format!("msgstream{package}.rs");
        let generated = fs::read_to_string(Path::new(out_dir).join(&name)).unwrap();
        let checked_in = root.join("src/message/proto/generated").join(&name);
        if env::var_os("UPDATE_PROTO").is_some() {
            fs::write(&checked_in, &generated).unwrap();
        }
        // Not `assert_eq`, which would print both files.
        assert!(
            fs::read_to_string(&checked_in).unwrap_or_default() == generated,
            "the .proto files changed: run this test with UPDATE_PROTO=1"
        );
    }
}
