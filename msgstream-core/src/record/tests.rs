use super::*;

// A record is copied and moved for each message: two cache lines, not three.
#[test]
fn a_record_is_two_cache_lines() {
    assert_eq!(size_of::<Record>(), 128);
}

#[test]
fn all_that_a_record_holds_counts() {
    let plain = Record::default().footprint();
    let grows = |change: fn(&mut Record, &str)| {
        ["x", &"x".repeat(1_000)].map(|name| {
            let mut record = Record::default();
            change(&mut record, name);
            record.footprint() - plain
        })
    };
    for [short, long] in [
        grows(|record, name| record.meta.vchannel = Some(name.into())),
        grows(|record, name| {
            let origin = Origin { producer: name.into(), epoch: Position::default() };
            record.meta.stamp = Some(Stamp { origin: origin.into(), seq: 1 });
        }),
        grows(|record, name| record.extra.push(Header::new(name, ""))),
        grows(|record, name| record.extra.push(Header::new("", name.to_owned()))),
        grows(|record, name| record.payload = name.to_owned().into()),
        grows(|record, name| *record = std::mem::take(record).with_key(name.to_owned())),
    ] {
        assert!(short > 0 && long == short + 999, "{short} {long}");
    }
}
