use super::*;

#[test]
fn before_1970_is_refused_from_any_source() {
    let before = UNIX_EPOCH - Duration::from_micros(1);
    assert_eq!(
        Timestamp::from_system_time(before),
        Err(TimestampError::BeforeEpoch { millis: -1 })
    );
    assert!(Timestamp::from_unix_millis(i64::MIN).is_err());
}

#[test]
fn bounds_round_trip() {
    let max = Timestamp::MAX_UNIX_MILLIS as i64;
    let ts = Timestamp::from_unix_millis(max).unwrap();
    assert_eq!(ts.physical_ms(), max as u64);
    assert_eq!(
        Timestamp::from_unix_millis(max + 1),
        Err(TimestampError::TooLarge { millis: max + 1 })
    );
    assert_eq!(Timestamp::MAX.next(), Timestamp::MAX);
}
