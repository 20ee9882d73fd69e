//! The suite catches what it is there to catch: each planted fault fails the scenario about it,
//! which passes without the fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod channel;
mod outage;
mod transport;

use msgstream_core::transport::TransportExt as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use msgstream_conformance::{Harness, Scenario, Verdict, check};
use msgstream_core::transport::{Capabilities, Capability, Result, Transport};
use msgstream_mem::{MemConfig, MemTransport};

use crate::outage::{Outage, Outages};
use crate::transport::{Fault, Faulty, MAX_PAYLOAD};

struct Planted {
    fault: Fault,
    deadline: Duration,
}

#[async_trait]
impl Harness for Planted {
    async fn open(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(Faulty { inner: good(), fault: self.fault }))
    }

    fn minimum(&self) -> Capabilities {
        match self.fault {
            Fault::CanNothing | Fault::ChecksNoHeaders => {
                Capabilities::none().with_max_payload(MAX_PAYLOAD)
            }
            _ => Capabilities::all().without(Capability::Persistent).with_max_payload(MAX_PAYLOAD),
        }
    }

    async fn make_channel(&self, _: &dyn Transport, channel: &str) -> Result<()> {
        good().create(channel).await
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }
}

fn good() -> Arc<dyn Transport> {
    let config = MemConfig::default().with_max_payload(MAX_PAYLOAD);
    Arc::new(MemTransport::named_with("faults", config).unwrap())
}

fn run(fault: Fault, deadline: Duration, name: &str) -> Verdict {
    let scenario = Scenario::all().find(|s| s.name() == name).unwrap();
    check(scenario, &(Arc::new(Planted { fault, deadline }) as Arc<dyn Harness>))
}

const PLENTY: Duration = Duration::from_secs(60);
// For faults that show as a hang: waiting for longer tells no more.
const SHORT: Duration = Duration::from_millis(500);

// The needs of a scenario aren't looked at here: a refusal that is run on a transport which can
// do it all fails, so its control is the transport that can do nothing.
macro_rules! caught {
    ($($test:ident: $fault:ident by $scenario:literal within $deadline:ident
        $(, unlike $control:ident)?;)+) => {$(
        #[test]
        fn $test() {
            let control = [$(Fault::$control,)? Fault::None][0];
            run(control, PLENTY, $scenario).unwrap();
            let failure = run(Fault::$fault, $deadline, $scenario).unwrap_err();
            println!("{failure}");
        }
    )+};
}

caught! {
    a_lost_capability: LosesACapability by "capabilities::none_is_lost" within PLENTY;
    create_that_takes_what_exists: CreatesTwice
        by "channel::create_twice_is_already_exists" within PLENTY;
    a_writer_that_creates: WritersCreate by "channel::a_missing_one_is_not_found" within PLENTY;
    an_unsorted_list: ListIsUnsorted by "channel::list_is_by_prefix_and_sorted" within PLENTY;
    a_delete_that_does_nothing: MissesADeletion by "channel::delete_removes_it" within PLENTY;
    an_ignored_incarnation: IgnoresTheIncarnation
        by "incarnation::an_old_position_is_refused" within PLENTY;
    lost_ids: LosesIds by "record::metadata_comes_back" within PLENTY;
    headers_made_text: HeadersAreText by "record::binary_headers_come_back" within PLENTY;
    trimmed_headers: HeadersAreTrimmed by "record::extra_headers_come_back" within PLENTY;
    lost_repeated_headers: RepeatedHeadersAreLost
        by "record::repeated_headers_come_back_or_are_refused" within PLENTY;
    lost_empty_keys: EmptyKeysAreLost by "record::keys_come_back" within PLENTY;
    a_first_after_the_first: FirstIsTooLate by "channel::describe_tells_first_and_end" within PLENTY;
    a_check_that_passes_all: ChecksNothing
        by "check::refuses_an_oversized_payload_and_leaves_the_writer" within PLENTY;
    a_check_that_poisons: CheckPoisons
        by "check::refuses_an_oversized_payload_and_leaves_the_writer" within PLENTY;
    a_check_that_refuses_all: CheckRefusesAll
        by "check::takes_what_can_be_written_and_writes_nothing" within PLENTY;
    a_check_that_writes: CheckWrites
        by "check::takes_what_can_be_written_and_writes_nothing" within PLENTY;
    a_truncated_payload: TruncatesPayloads by "writer::an_oversized_payload_is_refused" within PLENTY;
    a_reversed_batch: ReversesBatches by "writer::batches_are_pipelined_in_order" within PLENTY;
    positions_that_dont_grow: ReceiptsRepeatPositions
        by "writer::receipts_tell_the_positions" within PLENTY;
    a_writer_that_goes_on: WritesOnAfterAFailure by "writer::a_failed_write_poisons" within PLENTY;
    a_batch_lost_with_its_receipt: LosesDroppedReceipts
        by "writer::dropping_a_receipt_cancels_nothing" within PLENTY;
    a_record_lost_on_cancel: LosesOnCancel
        by "reader::cancelling_at_every_poll_loses_nothing" within PLENTY;
    a_repeated_record: RepeatsARecord by "reader::records_come_in_order_once" within PLENTY;
    an_ignored_byte_limit: IgnoresTheByteLimit
        by "reader::batches_keep_to_the_number_of_bytes" within PLENTY;
    caught_up_too_early: CallsEveryBatchTheEnd
        by "reader::caught_up_is_true_only_at_the_end" within PLENTY;
    caught_up_never: NeverTellsTheEnd
        by "reader::caught_up_is_true_only_at_the_end" within SHORT;
    a_seek_that_does_nothing: SeekIsANoOp by "start::seek_to_earliest_and_latest" within SHORT;
    a_seek_that_repeats: SeeksOneTooEarly by "start::seek_goes_anywhere" within PLENTY;
    a_latest_that_is_late: LatestIsWhenItIsRead
        by "start::latest_gives_only_what_comes_later" within PLENTY;
    a_position_taken_from_nowhere: TakesAnyPosition
        by "start::an_unwritten_position_is_refused" within PLENTY;
    an_ack_that_does_nothing: AckIsANoOp
        by "subscription::ack_moves_the_cursor_so_far_and_no_further" within PLENTY;
    an_ack_over_a_gap: AckGoesTooFar
        by "subscription::ack_moves_the_cursor_so_far_and_no_further" within PLENTY;
    an_ack_that_goes_back: AckGoesBack by "subscription::ack_backwards_is_harmless" within PLENTY;
    cursors_that_are_one: CursorsAreSharedByName
        by "subscription::two_are_independent" within PLENTY;
    an_ack_over_a_gap_in_a_batch: AckGoesTooFar
        by "subscription::ack_within_a_batch_goes_no_further" within PLENTY;
    an_unsubscribe_that_does_nothing: UnsubscribeIsANoOp
        by "subscription::unsubscribed_it_begins_again" within PLENTY;
    an_unsubscribe_that_removes_all: UnsubscribeRemovesAll
        by "subscription::unsubscribing_leaves_the_others" within PLENTY;
    an_unsubscribe_that_wants_a_cursor: UnsubscribeWantsACursor
        by "subscription::unsubscribing_what_isnt_there_is_harmless" within PLENTY;
    an_unsubscribe_from_nowhere: UnsubscribeTakesAnyChannel
        by "channel::a_missing_one_is_not_found_by_subscriptions" within PLENTY;
    an_unsorted_list_of_cursors: ListsCursorsUnsorted
        by "subscription::those_that_moved_are_listed_by_name" within PLENTY;
    a_removed_cursor_in_the_list: ListsRemovedCursors
        by "subscription::unsubscribed_it_isnt_listed" within PLENTY;
    another_channels_cursors_in_the_list: ListsCursorsOfOthers
        by "subscription::another_channel_lists_its_own" within PLENTY;
    one_record_too_many: CountsOneMore
        by "channel::describe_counts_the_records_or_says_nothing" within PLENTY;
    a_trim_that_does_nothing: TrimIsANoOp by "trim::what_is_before_goes_in_the_end" within PLENTY;
    a_trim_that_takes_too_much: TrimTakesOneMore
        by "trim::nothing_at_or_after_the_position_goes" within PLENTY;
    a_trim_beyond_the_end: TrimTakesAnyPosition
        by "trim::beyond_the_end_it_is_refused" within PLENTY;
    a_trim_of_nothing: TrimTakesAnyChannel
        by "trim::on_a_missing_channel_it_is_not_found" within PLENTY;
    a_first_that_is_gone: TrimNamesOldFirsts
        by "trim::readers::what_is_left_can_be_started_at" within PLENTY;
    a_gap_that_isnt_told: TrimIsPassedOver
        by "trim::readers::one_that_is_passed_is_told" within PLENTY;
    a_trim_that_moves_cursors: TrimMovesCursors by "trim::cursors_stay" within PLENTY;
    a_close_that_does_nothing: CloseIsANoOp
        by "handle::a_closed_one_is_closed_in_every_call" within PLENTY;
    a_leaked_task: LeaksATask by "handle::dropping_without_close_leaves_no_task" within SHORT;
    a_blocked_thread: BlocksTheThread by "reader::records_come_in_order_once" within SHORT;
    a_panic: Panics by "reader::records_come_in_order_once" within PLENTY;
    a_delete_that_isnt_refused: IgnoresWhatItCannot by "refusal::delete" within PLENTY,
        unlike CanNothing;
    a_list_that_isnt_refused: IgnoresWhatItCannot by "refusal::list" within PLENTY,
        unlike CanNothing;
    a_create_that_isnt_refused: None by "refusal::create" within PLENTY, unlike CanNothing;
    properties_that_are_dropped: IgnoresWhatItCannot
        by "refusal::properties" within PLENTY, unlike CanOnlyCreate;
    an_incarnation_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::incarnations" within PLENTY, unlike CanNothing;
    a_position_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::seek_position" within PLENTY, unlike CanNothing;
    a_time_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::seek_time" within PLENTY, unlike CanNothing;
    a_subscription_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::subscriptions" within PLENTY, unlike CanNothing;
    a_trim_that_isnt_refused: IgnoresWhatItCannot by "refusal::trim" within PLENTY,
        unlike CanNothing;
    an_unsubscribe_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::unsubscribe" within PLENTY, unlike CanNothing;
    a_list_of_cursors_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::listing_subscriptions" within PLENTY, unlike CanNothing;
    a_binary_header_that_isnt_refused: IgnoresWhatItCannot
        by "refusal::binary_headers" within PLENTY, unlike CanNothing;
    a_binary_header_that_passes_the_check: ChecksNoHeaders
        by "refusal::binary_headers" within PLENTY, unlike CanNothing;
}

#[test]
fn a_transport_that_can_do_nothing_and_says_so_passes() {
    let can = Capabilities::none().with_max_payload(MAX_PAYLOAD);
    let mut refusals = 0;
    let harness = Planted { fault: Fault::CanNothing, deadline: PLENTY };
    for scenario in Scenario::all().filter(|s| s.unmet(can, &harness).next().is_none()) {
        refusals += usize::from(scenario.name().starts_with("refusal::"));
        if let Err(failure) = run(Fault::CanNothing, PLENTY, scenario.name()) {
            panic!("{}: {failure}", scenario.name());
        }
    }
    assert_eq!(refusals, 12);
}

fn over_outages(outage: Outage, name: &str) -> Verdict {
    let scenario = Scenario::all().find(|s| s.name() == name).unwrap();
    check(scenario, &(Arc::new(Outages::new(good(), outage)) as Arc<dyn Harness>))
}

#[test]
fn a_broker_that_fails_and_keeps_all_passes() {
    for scenario in Scenario::all().filter(|s| s.name().starts_with("broker::")) {
        over_outages(Outage::KeepsAll, scenario.name()).unwrap();
    }
}

#[test]
fn a_broker_that_loses_what_it_acknowledged_is_caught() {
    for name in ["restarts", "kills"] {
        let name = format!("broker::nothing_acknowledged_is_lost_over_{name}");
        let failure = over_outages(Outage::LosesABatch, &name).unwrap_err();
        assert!(failure.to_string().contains("the records of"), "{failure}");
    }
}
