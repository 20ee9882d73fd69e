use super::*;

#[test]
fn messages_of_one_time_may_follow_each_other() {
    let mut ticker = TimeTicker::new(Duration::from_millis(1));
    let ts = Timestamp::from_unix_millis(7).unwrap_or_default();
    for _ in 0..3 {
        ticker.observe(ts);
        assert!(!ticker.is_late(ts));
    }
}

#[test]
fn ticks_only_grow_and_stay_below_the_end_of_time() {
    let mut ticker = TimeTicker::new(Duration::ZERO);
    assert_eq!(ticker.finish(), None);
    ticker = ticker.starting_after(Timestamp(1 << 20));
    assert_eq!(ticker.observe(Timestamp(1 << 20)), None);
    assert_eq!(ticker.observe(Timestamp((5 << 20) + 1)), Some(Timestamp(5 << 20)));
    assert_eq!(ticker.observe(Timestamp(4 << 20)), None);
    ticker.observe(Timestamp::MAX);
    assert_eq!(ticker.finish(), Some(Timestamp(u64::MAX - 1)));
    assert_eq!(ticker.finish(), None);
}
