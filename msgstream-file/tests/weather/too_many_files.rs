//! A process that has no more file descriptors.

use std::fs::File;

use msgstream_core::transport::{Transport, TransportErrorKind as Kind, TransportExt};

use crate::kit::{
    assert_passed, given_folder, open, process, read, read_some, reader, refused, this_program,
    write,
};

#[test]
fn too_many_open_files_are_told_and_it_goes_on_with_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let before = ["sh", "-c", "ulimit -n 100; exec \"$@\"", "sh"];
    let mut limited = process(&before, &this_program(), "too_many_files::limited", folder.path());
    assert_passed(&limited.output().unwrap());
}

#[tokio::test]
#[ignore = "it is run by another test, with few file descriptors"]
async fn limited() {
    let Some(folder) = given_folder() else { return };
    let files = open(&folder).await;
    files.create("orders").await.unwrap();
    let mut reader = reader(&files, "orders").await;
    for round in 0..3 {
        let (first, end) = (round * 20, round * 20 + 20);
        write(&files, "orders", first..end).await;
        // The lock is let go after the last receipt: it must not leave a descriptor to be used then.
        File::open(folder.join("orders/lock")).unwrap().lock().unwrap();

        let mut others = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            others.push(file);
            assert!(others.len() < 1_000, "the limit isn't there");
        }
        let (some, error) = read_some(&mut *reader).await;
        assert!(some.is_empty(), "it read {some:?} without a file");
        for error in [
            error.unwrap(),
            refused(&files, "orders").await,
            files.create("more").await.unwrap_err(),
            files.describe("orders").await.unwrap_err(),
        ] {
            assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
            assert!(error.is_temporary());
            assert!(error.to_string().contains("ulimit -n"), "{error}");
        }

        drop(others);
        assert_eq!(read_some(&mut *reader).await.0, Vec::from_iter(first..end));
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..end));
    }
}
