//! Folders that somebody removes.

use std::fs;
use std::path::Path;

use msgstream_core::transport::{
    ChannelReader, Limit, Transport, TransportErrorKind as Kind, TransportExt,
};
use msgstream_file::{FileConfig, FileTransport};

use tokio::join;

use crate::kit::{FOR_EVER, open, read, read_some, reader, record, refused, write};

/// Takes a folder away, whole.
fn remove(folder: &Path) {
    let away = folder.with_extension("removed");
    fs::rename(folder, &away).unwrap();
    fs::remove_dir_all(&away).unwrap();
}

/// Removes a folder while a reader waits, and returns why its read failed.
async fn remove_under(reader: &mut dyn ChannelReader, folder: &Path) -> Kind {
    let removing = async { remove(folder) };
    let (read, ()) = join!(reader.read(Limit::default().with_wait(FOR_EVER)), removing);
    read.unwrap_err().kind().clone()
}

#[tokio::test]
async fn a_channel_whose_folder_is_removed_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path()).await;
    for channel in ["orders", "prices"] {
        files.create(channel).await.unwrap();
        write(&files, channel, 0..20).await;
    }
    let mut waiting = reader(&files, "orders").await;
    read_some(&mut *waiting).await;
    let mut writer = files.writer("orders").await.unwrap();
    assert_eq!(remove_under(&mut *waiting, &folder.path().join("orders")).await, Kind::NotFound);

    let unstored = writer.submit(vec![record(20)]).await.rest.unwrap();
    assert_eq!(*unstored.error.kind(), Kind::NotFound);
    assert_eq!(*refused(&files, "orders").await.kind(), Kind::NotFound);
    assert_eq!(*files.describe("orders").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(files.list("").await.unwrap(), ["prices"]);

    files.create("orders").await.unwrap();
    write(&files, "orders", 100..120).await;
    let (old, error) = read_some(&mut *waiting).await;
    assert!(old.is_empty());
    assert!(matches!(error.unwrap().kind(), Kind::WrongIncarnation { .. }));
    assert_eq!(read(&files, "orders").await, Vec::from_iter(100..120));
    assert_eq!(read(&files, "prices").await, Vec::from_iter(0..20));
}

#[tokio::test]
async fn without_the_folder_of_all_channels_nothing_works_until_it_is_back() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("log");
    let files = open(&folder).await;
    files.create("orders").await.unwrap();
    write(&files, "orders", 0..20).await;
    let mut waiting = reader(&files, "orders").await;
    read_some(&mut *waiting).await;
    let mut writer = files.writer("orders").await.unwrap();
    assert_eq!(remove_under(&mut *waiting, &folder).await, Kind::NotFound);

    let unstored = writer.submit(vec![record(20)]).await.rest.unwrap();
    assert_eq!(*unstored.error.kind(), Kind::NotFound);
    assert_eq!(*files.describe("orders").await.unwrap_err().kind(), Kind::NotFound);
    // It isn't the channel that is missing.
    for error in [files.create("orders").await.unwrap_err(), files.list("").await.unwrap_err()] {
        assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    }

    drop(open(&folder).await);
    files.create("orders").await.unwrap();
    write(&files, "orders", 0..40).await;
    assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
}

#[tokio::test]
async fn other_files_in_the_folder_are_no_channels() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path()).await;
    files.create("orders").await.unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join("notes"), "mine").unwrap();
    assert_eq!(files.list("").await.unwrap(), ["orders"]);
    let prefixed = config_with_prefix(folder.path()).await;
    assert!(matches!(prefixed.create("").await.unwrap_err().kind(), Kind::InvalidName { .. }));
    assert_eq!(prefixed.list("").await.unwrap(), ["ders"]);
}

async fn config_with_prefix(folder: &Path) -> msgstream_file::FileTransport {
    let config = crate::kit::config(folder).with_prefix("or");
    msgstream_file::FileTransport::open(config).await.unwrap()
}

#[tokio::test]
async fn a_folder_that_may_not_be_made_must_be_there() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("of/log");
    let config = FileConfig::new(&folder).with_create(false);
    let error = FileTransport::open(config.clone()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    assert!(!base.path().join("of").exists());

    open(&folder).await.create("orders").await.unwrap();
    let files = FileTransport::open(config).await.unwrap();
    assert_eq!(files.list("").await.unwrap(), ["orders"]);
}
