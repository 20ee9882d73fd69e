#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;

fn stored(generation: Generation, bytes: usize) -> Stored {
    Stored::new(generation, None, vec![generation.number as u8; bytes].into())
}

fn folder() -> (tempfile::TempDir, FileStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path().join("checkpoint"));
    (folder, store)
}

#[tokio::test]
async fn what_was_saved_is_loaded_by_another() {
    let (_folder, store) = folder();
    assert_eq!(store.load().await.unwrap(), None);
    let first = stored(Generation::claim(None), 3);
    store.save(None, &first).await.unwrap();
    let another = FileStore::new(store.path());
    assert_eq!(another.load().await.unwrap(), Some(first.clone()));
    let second = stored(first.generation.next(), 0);
    another.save(Some(first.generation), &second).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Some(second));
}

#[tokio::test]
async fn what_cant_be_read_isnt_taken_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let refused = FileStore::new(folder.path()).load().await;
    assert!(matches!(refused, Err(StoreError::Io { operation: "read", .. })), "{refused:?}");
}

#[test]
fn a_name_alone_is_in_the_current_folder() {
    assert_eq!(FileStore::new("checkpoint").folder(), Path::new("."));
    assert_eq!(FileStore::new("state/checkpoint").folder(), Path::new("state"));
}

#[tokio::test]
async fn a_wrong_generation_is_a_conflict_and_changes_nothing() {
    let (_folder, store) = folder();
    let first = stored(Generation::claim(None), 3);
    let other = Generation::claim(None);
    let expects = async |wrong: Option<Generation>, there: Option<Generation>| {
        let refused = store.save(wrong, &stored(Generation::claim(wrong), 1)).await;
        let Err(StoreError::Conflict { expected, found }) = refused else { panic!("{refused:?}") };
        assert_eq!((expected, found), (wrong, there));
    };
    expects(Some(other), None).await;
    assert_eq!(store.load().await.unwrap(), None);
    store.save(None, &first).await.unwrap();
    for wrong in [None, Some(other), Some(first.generation.next())] {
        expects(wrong, Some(first.generation)).await;
    }
    assert_eq!(store.load().await.unwrap(), Some(first));
}

/// Each saver loads and saves in its turn; no two ever replace the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_savers_that_expect_the_same_one_wins() {
    const SAVES: u64 = 60;
    let (_folder, shared) = folder();
    let saver = |store: FileStore| async move {
        let mut won = Vec::new();
        loop {
            let found = store.load().await.unwrap().map(|stored| stored.generation);
            let new = Generation::claim(found);
            if new.number > SAVES {
                return won;
            }
            match store.save(found, &stored(new, 9)).await {
                Ok(()) => won.push(new.number),
                Err(StoreError::Conflict { expected, found }) => assert_ne!(expected, found),
                Err(error) => panic!("{error}"),
            }
        }
    };
    let savers: Vec<_> = (0..4)
        .map(|n| if n < 2 { shared.clone() } else { FileStore::new(shared.path()) })
        .map(|store| tokio::spawn(saver(store)))
        .collect();
    let mut won = Vec::new();
    for saver in savers {
        won.extend(saver.await.unwrap());
    }
    won.sort_unstable();
    assert_eq!(won, Vec::from_iter(1..=SAVES));
}

/// What is read while another saves is what was before or what comes after, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_no_half_written_file() {
    let (_folder, store) = folder();
    let mut last = stored(Generation::claim(None), 0);
    store.save(None, &last).await.unwrap();
    let reader = FileStore::new(store.path());
    let end = last.generation.number + 50;
    let reader = tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        while !seen.contains(&end) {
            let Stored { generation, state, .. } = reader.load().await.unwrap().unwrap();
            assert!(seen.last() <= Some(&generation.number), "it went back to {generation}");
            assert!(state.iter().all(|byte| *byte == generation.number as u8));
            seen.insert(generation.number);
        }
    });
    while last.generation.number < end {
        let number = last.generation.number as usize;
        let new = stored(last.generation.next(), [70_000, 10, 300_000][number % 3]);
        store.save(Some(last.generation), &new).await.unwrap();
        last = new;
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_never_taken_for_none() {
    let (_folder, store) = folder();
    let first = stored(Generation::claim(None), 3);
    store.save(None, &first).await.unwrap();
    let bytes = fs::read(store.path()).unwrap();
    for end in 0..bytes.len() {
        fs::write(store.path(), &bytes[..end]).unwrap();
        let read = store.load().await;
        assert!(matches!(&read, Err(StoreError::Corrupt { path, .. }) if path == store.path()));
    }
    for expected in [None, Some(first.generation)] {
        let refused = store.save(expected, &stored(first.generation.next(), 1)).await;
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    }
    assert_eq!(fs::read(store.path()).unwrap(), bytes[..bytes.len() - 1]);
}

#[tokio::test]
async fn what_a_crash_in_a_save_left_is_harmless() {
    let (_folder, store) = folder();
    fs::write(store.beside(".tmp"), vec![b'x'; 100_000]).unwrap();
    assert_eq!(store.load().await.unwrap(), None);
    let first = stored(Generation::claim(None), 3);
    store.save(None, &first).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_save_waits_for_the_one_before() {
    let (_folder, store) = folder();
    let held = store.lock().unwrap();
    let first = stored(Generation::claim(None), 3);
    let mut save = Box::pin(store.save(None, &first));
    // It can't be done however long the others run.
    for _ in 0..100 {
        assert!(futures::poll!(&mut save).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(store.load().await.unwrap(), None);
    drop(held);
    save.await.unwrap();
    assert_eq!(store.load().await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_cancelled_save_takes_effect_whole_or_not_at_all() {
    let (_folder, store) = folder();
    let first = stored(Generation::claim(None), 3);
    drop(futures::poll!(Box::pin(store.save(None, &first))));
    // Only one of the two takes effect, whichever comes first.
    let second = stored(Generation::claim(None), 4);
    let there = match store.save(None, &second).await {
        Ok(()) => second,
        Err(StoreError::Conflict { found, .. }) if found == Some(first.generation) => first,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(store.load().await.unwrap(), Some(there));
}

#[tokio::test]
async fn a_missing_folder_is_an_error_that_names_it() {
    let (folder, _) = folder();
    let missing = folder.path().join("no");
    let store = FileStore::new(missing.join("checkpoint"));
    let Err(StoreError::Io { path, .. }) = store.load().await else { panic!("it is missing") };
    assert_eq!(path, missing);
    let save = store.save(None, &stored(Generation::claim(None), 1)).await;
    assert!(matches!(save, Err(StoreError::Io { .. })), "{save:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_save_leaves_the_files_mode_as_it_is() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    let (_folder, store) = folder();
    let mut last = stored(Generation::claim(None), 3);
    store.save(None, &last).await.unwrap();
    for mode in [0o600, 0o640, 0o400] {
        fs::set_permissions(store.path(), Permissions::from_mode(mode)).unwrap();
        let new = stored(last.generation.next(), 3);
        store.save(Some(last.generation), &new).await.unwrap();
        let found = fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{found:o}");
        last = new;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_where_a_save_writes_is_not_followed() {
    let (folder, store) = folder();
    let other = folder.path().join("other");
    fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, store.beside(".tmp")).unwrap();
    let first = stored(Generation::claim(None), 3);
    store.save(None, &first).await.unwrap();
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    assert!(fs::symlink_metadata(store.path()).unwrap().is_file());
    assert_eq!(store.load().await.unwrap(), Some(first));
}
