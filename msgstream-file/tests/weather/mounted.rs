//! File systems that are full or read-only. Each is mounted where only the test sees it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use msgstream_core::transport::{Transport, TransportErrorKind as Kind, TransportExt};
use msgstream_file::FileError;

use crate::kit::{
    assert_passed, given_folder, open, process, read, refused, this_program, write, write_some,
};

/// What the shell exits with if nothing can be mounted here.
const NOT_RUN: i32 = 77;

/// Runs an ignored test with a small file system of its own.
#[track_caller]
fn run_mounted(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=1m tmpfs '{}' || exit {NOT_RUN}; exec \"$@\"",
        folder.path().display()
    );
    let before = ["unshare", "-rm", "sh", "-c", &mount, "sh"];
    let output = process(&before, &this_program(), test, folder.path()).output();
    match output {
        Err(error) => println!("NOT RUN: unshare can't be run: {error}"),
        Ok(output) if !String::from_utf8_lossy(&output.stdout).contains("running") => {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            println!("NOT RUN: nothing can be mounted here: {}", reason.trim());
        }
        Ok(output) => assert_passed(&output),
    }
}

#[test]
fn a_full_disk_is_told_and_writing_goes_on_when_there_is_room() {
    run_mounted("mounted::full");
}

#[test]
fn a_read_only_disk_is_read_and_refuses_the_rest() {
    run_mounted("mounted::read_only");
}

/// Fills a disk to the last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [64 << 10, 4096, 1] {
        loop {
            match file.write_all(&vec![0; size]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
#[ignore = "it is run by another test, on a disk of its own"]
async fn full() {
    let Some(disk) = given_folder() else { return };
    let folder = disk.join("log");
    let files = open(&folder).await;
    files.create("orders").await.unwrap();
    let cursor = files.subscription("orders", "billing").await.unwrap();
    let third = msgstream_core::record::Position::new(3);
    let spares = [1, 2, 3].map(|n| disk.join(format!("spare-{n}")));
    for spare in &spares {
        fs::write(spare, vec![0; 128 << 10]).unwrap();
    }
    let mut stored = 0;
    for spare in spares {
        let (more, refused) = write_some(&files, "orders", stored..1_000_000).await;
        let error = refused.unwrap_err();
        assert!(matches!(error.kind(), Kind::Full { .. }), "{error}");
        assert!(error.is_temporary());
        let cause: &FileError = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
        assert!(cause.path.starts_with(&folder), "{cause}");
        stored += more;
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..stored));

        // Nothing else that needs room is done by halves.
        let filler = disk.join("filler");
        fill(&filler);
        let before = cursor.acked().await.unwrap();
        for error in [
            files.create("more").await.unwrap_err(),
            files.subscription("orders", "another").await.unwrap_err(),
            cursor.ack(third).await.unwrap_err(),
        ] {
            assert!(matches!(error.kind(), Kind::Full { .. }), "{error}");
        }
        assert_eq!(cursor.acked().await.unwrap(), before);
        assert_eq!(files.list("").await.unwrap(), ["orders"]);
        let names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["orders"], "what is left of a channel that there was no room for");

        // There is room again, and a new writer has it.
        fs::remove_file(&filler).unwrap();
        fs::remove_file(&spare).unwrap();
        let more = stored + 20;
        write(&files, "orders", stored..more).await;
        stored = more;
        cursor.ack(third).await.unwrap();
        files.create("more").await.unwrap();
        files.delete("more").await.unwrap();
    }
    assert_eq!(read(&open(&folder).await, "orders").await, Vec::from_iter(0..stored));
}

#[tokio::test]
#[ignore = "it is run by another test, on a disk of its own"]
async fn read_only() {
    let Some(disk) = given_folder() else { return };
    let (folder, frozen) = (disk.join("log"), disk.join("frozen"));
    let files = open(&folder).await;
    files.create("orders").await.unwrap();
    write(&files, "orders", 0..20).await;
    fs::create_dir(&frozen).unwrap();
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    };
    let (folder, frozen) = (folder.to_str().unwrap(), frozen.to_str().unwrap());
    mount(&["--bind", folder, frozen]);
    mount(&["-o", "remount,bind,ro", frozen]);

    let reads = open(Path::new(frozen)).await;
    assert_eq!(read(&reads, "orders").await, Vec::from_iter(0..20));
    assert_eq!(reads.list("").await.unwrap(), ["orders"]);
    for error in [
        refused(&reads, "orders").await,
        reads.create("more").await.unwrap_err(),
        reads.delete("orders").await.unwrap_err(),
        reads.subscription("orders", "billing").await.unwrap_err(),
        reads.unsubscribe("orders", "billing").await.unwrap_err(),
        reads.repair("orders").await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    // Whoever may write goes on, and is read here.
    write(&files, "orders", 20..40).await;
    assert_eq!(read(&reads, "orders").await, Vec::from_iter(0..40));

    mount(&["-o", "remount,bind,rw", frozen]);
    write(&reads, "orders", 40..60).await;
    assert_eq!(read(&files, "orders").await, Vec::from_iter(0..60));
}
