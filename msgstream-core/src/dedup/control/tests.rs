#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::record::Meta;
use crate::record::Timestamp;

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        any::<u64>().prop_map(|nonce| Kind::Fence { nonce }),
        any::<u64>().prop_map(|last| Kind::Base { last }),
        Just(Kind::Goodbye),
    ]
}

#[test]
fn control_is_on_ticks_alone_and_whole() {
    let control: Control = "p;7;bye;".parse().unwrap();
    let written = |msg_type| {
        let mut record = Record::new(Meta::new(msg_type, Timestamp(3)), Vec::new());
        control.write(&mut record);
        record
    };
    let tick = written(MsgType::TIME_TICK);
    assert_eq!(Control::read(&tick), Some((control.clone(), Position::new(7))));
    assert_eq!(Control::read(&written(MsgType::INSERT)), None);
    for text in ["p;7;bye;1", "p;7;bye", ";7;bye;", "p;;bye;", "p;7;base;", "p;7;x;1"] {
        assert!(text.parse::<Control>().is_err(), "{text}");
    }
}

#[test]
fn a_fence_without_an_epoch_begins_the_one_of_its_position() {
    let mut record = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(3)), Vec::new());
    record.position = Position::new(40);
    record.extra.push(Header::new(Stamp::HEADER, "p;;fence;9"));
    assert_eq!(Control::read(&record).map(|read| read.1), Some(Position::new(40)));
}

proptest! {
    #[test]
    fn control_is_read_as_it_was_written(
        producer in "[A-Za-z0-9._-]{1,64}(/\\PC{1,9})?",
        words: [u64; 3],
        home: bool,
        kind in kinds(),
    ) {
        let at_home = home && matches!(kind, Kind::Fence { .. });
        let epoch = (!at_home).then(|| Position::from_words(words));
        let control = Control { producer: producer.into(), epoch, kind };
        prop_assert_eq!(control.to_string().parse(), Ok(control.clone()));
        prop_assert!(control.to_string().parse::<Stamp>().is_err());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "p;[0-9:]{0,5};(fence|base|bye|x)?;[0-9]{0,3}") {
        if let Ok(control) = text.parse::<Control>() {
            prop_assert_eq!(control.to_string().parse::<Control>(), Ok(control));
        }
    }
}
