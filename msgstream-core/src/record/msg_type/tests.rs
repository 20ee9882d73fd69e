use super::*;

#[test]
fn a_replaced_name_leaves_no_trace() {
    let names = MsgTypeNames::empty().with(MsgType(1), "a").with(MsgType(2), "a");
    assert_eq!(names.name(MsgType(1)), "1");
    assert_eq!(names.parse("a"), Some(MsgType(2)));
    let names = names.with(MsgType(2), "b");
    assert_eq!(names.parse("a"), None);
    assert_eq!(names.parse("b"), Some(MsgType(2)));
}

#[test]
fn what_is_neither_name_nor_number_is_no_type() {
    let names = MsgTypeNames::default();
    for wrong in ["", "insert", "-1", "4294967296", " 400"] {
        assert_eq!(names.parse(wrong), None, "{wrong:?}");
    }
}
