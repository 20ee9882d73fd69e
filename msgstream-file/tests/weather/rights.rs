//! Files that belong to somebody else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use msgstream_core::transport::{Transport, TransportErrorKind as Kind, TransportExt};
use msgstream_file::FileTransport;

use crate::kit::{
    assert_passed, config, given_folder, open, process, read, refused, this_program, write,
};

/// Nobody, on most systems.
const ANOTHER: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Sets the modes of a channel's files and folders.
fn set_modes(channel: &Path, file: u32, folder: u32) {
    for entry in fs::read_dir(channel).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => set_modes(&path, file, folder),
            false => set_mode(&path, file),
        }
    }
    set_mode(channel, folder);
}

#[tokio::test]
async fn what_is_denied_is_told_and_goes_on_with_the_right() {
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o755);
    let folder = base.path().join("log");
    let files = open(&folder).await;
    for channel in ["readable", "secret"] {
        files.create(channel).await.unwrap();
        write(&files, channel, 0..20).await;
    }
    let (readable, secret) = (folder.join("readable"), folder.join("secret"));
    let closed = base.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_modes(&readable, 0o444, 0o555);
    for (path, mode) in [(&folder, 0o555), (&secret, 0), (&closed, 0)] {
        set_mode(path, mode);
    }

    // Nothing is denied to root, so somebody else tries it then, who may not read this program where
    // it is.
    let program = base.path().join("program");
    fs::copy(this_program(), &program).unwrap();
    set_mode(&program, 0o755);
    let mut other = process(&[], &program, "rights::denied", base.path());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        other.uid(ANOTHER).gid(ANOTHER);
    }
    let output = other.current_dir("/").output().unwrap();

    for (path, mode) in [(&folder, 0o755), (&secret, 0o755), (&closed, 0o755)] {
        set_mode(path, mode);
    }
    set_modes(&readable, 0o644, 0o755);
    assert_passed(&output);
    for channel in ["readable", "secret"] {
        write(&files, channel, 20..30).await;
        assert_eq!(read(&files, channel).await, Vec::from_iter(0..30));
    }
    assert_eq!(files.list("").await.unwrap(), ["readable", "secret"]);
}

#[tokio::test]
#[ignore = "it is run by another test, as somebody else"]
async fn denied() {
    let Some(base) = given_folder() else { return };
    let files = open(&base.join("log")).await;
    assert_eq!(files.list("").await.unwrap(), ["readable", "secret"]);
    assert_eq!(read(&files, "readable").await, Vec::from_iter(0..20));
    for error in [
        refused(&files, "readable").await,
        files.create("more").await.unwrap_err(),
        files.subscription("readable", "billing").await.unwrap_err(),
        files.delete("readable").await.unwrap_err(),
        files.describe("secret").await.unwrap_err(),
        files.writer("secret").await.unwrap_err(),
        FileTransport::open(config(&base.join("closed/log"))).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(error.to_string().contains("permissions"), "{error}");
    }
}
