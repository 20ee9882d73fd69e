//! The watermark of a channel that a session is opened on.

use crate::record::{Position, Timestamp};

/// The greatest tick that counts. A void tick doesn't: it may be ahead of what its session had
/// accepted, and then the messages that the next session writes seem late and aren't. If a reader
/// that begins in the middle can't know whether a tick of the producer is void, it doesn't count
/// either. One of another session does, so that no message is late: a program that is refused then
/// begins to read earlier, or writes late messages.
#[derive(Debug, Default)]
pub(super) struct Promised {
    /// What is sure to count.
    sure: Option<Timestamp>,
    /// What the producer's newest epoch promised.
    own: Option<Timestamp>,
    /// That epoch began after reading did.
    began: bool,
    /// What the epoch before it promised, if that began before reading did.
    before: Option<(Position, Timestamp)>,
}

impl Promised {
    /// Takes in a tick of the producer's newest epoch.
    pub(super) fn own(&mut self, ts: Timestamp) {
        self.own = self.own.max(Some(ts));
    }

    /// Takes in a tick of somebody else.
    pub(super) fn other(&mut self, ts: Timestamp) {
        self.sure = self.sure.max(Some(ts));
    }

    /// A newer epoch begins, and its fence is here: what the one before promised stays.
    pub(super) fn fence(&mut self, before: Option<Position>) {
        let own = self.own.take();
        if self.began {
            self.sure = self.sure.max(own);
        } else {
            self.before = before.zip(own);
        }
        self.began = true;
    }

    /// A newer epoch is found without its fence, so what older ones promised may be void.
    pub(super) fn surprise(&mut self) {
        (self.own, self.began, self.before) = (None, false, None);
    }

    /// Returns the watermark, if `prior` is the producer's newest epoch but the one that is being
    /// opened: nothing of that one is void.
    pub(super) fn watermark(&self, prior: Option<Position>) -> Timestamp {
        let before = self.before.filter(|(epoch, _)| Some(*epoch) >= prior);
        let before = before.map(|(_, ts)| ts);
        self.sure.max(self.own).max(before).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_void_doesnt_count() {
        let [one, two] = [1, 2].map(Position::new);
        let mut promised = Promised::default();
        assert_eq!(promised.watermark(None), Timestamp::MIN);
        promised.other(Timestamp(3));
        promised.own(Timestamp(9));
        assert_eq!(promised.watermark(None), Timestamp(9));
        // Was it fenced before the place where reading began?
        promised.fence(Some(one));
        assert_eq!(promised.watermark(Some(one)), Timestamp(9));
        assert_eq!(promised.watermark(Some(two)), Timestamp(3));
        promised.own(Timestamp(5));
        promised.fence(Some(two));
        assert_eq!(promised.watermark(Some(two)), Timestamp(5));
        promised.own(Timestamp(8));
        promised.surprise();
        assert_eq!(promised.watermark(Some(two)), Timestamp(5));
    }
}
