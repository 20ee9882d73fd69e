#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_joiner_holds_the_tick_and_starts_above_it() {
    let now = Instant::now();
    let mut sync = TimeSync::new(Duration::from_secs(1)).starting_after(Timestamp(5));
    assert_eq!(sync.join("a", now), Some(Timestamp(5)));
    sync.report("a", Timestamp(9), now).unwrap();
    assert_eq!(sync.tick(), Some(Timestamp(9)));
    assert_eq!(sync.join("b", now), Some(Timestamp(9)));
    sync.report("a", Timestamp(20), now).unwrap();
    assert_eq!(sync.tick(), None);
    sync.report("b", Timestamp(11), now).unwrap();
    assert_eq!(sync.tick(), Some(Timestamp(11)));
    assert!(sync.leave("b"));
    assert_eq!(sync.tick(), Some(Timestamp(20)));
}

#[test]
fn an_expired_producer_is_refused_until_it_joins_again() {
    let (a, now) = (Arc::<str>::from("a"), Instant::now());
    let mut sync = TimeSync::new(Duration::from_secs(1));
    let unknown = SyncError::Unknown { producer: a.clone() };
    assert_eq!(sync.report("a", Timestamp(1), now), Err(unknown));
    sync.join("a", now);
    let later = now + Duration::from_secs(2);
    assert_eq!(sync.expire(later), std::slice::from_ref(&a));
    let expired = SyncError::Expired { producer: a.clone() };
    assert_eq!(sync.report("a", Timestamp(1), later), Err(expired));
    assert!(!sync.leave("a"));
    assert_eq!(sync.expire(later), [a], "it is to be fenced until it is");
    sync.join("a", later);
    assert!(sync.expire(later).is_empty());
    sync.fenced("a");
    assert_eq!(sync.report("a", Timestamp(1), later), Ok(()));
}
