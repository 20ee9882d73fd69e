//! Histories of a channel: scans and consumers agree on which numbers were taken.

use proptest::prelude::*;

use super::*;

/// What happens on a channel with a producer, its zombies, and a broker that stores late copies.
#[derive(Clone, Copy, Debug)]
enum Step {
    Messages(u64),
    /// The first of some is lost, and all are sent again, if the producer lives on.
    Hole(u64, bool),
    Tick,
    /// A tick that so many messages were sent ahead of.
    Ahead(u64),
    Base,
    /// Another session, which dies before its base, or begins.
    Open(bool),
    /// An older session goes on.
    Zombie(prop::sample::Index, u64),
    /// The broker stores an earlier record once more.
    Copy(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..4).prop_map(Step::Messages),
        2 => (2_u64..4, any::<bool>()).prop_map(|(many, lives)| Step::Hole(many, lives)),
        3 => Just(Step::Tick),
        3 => (1_u64..4).prop_map(Step::Ahead),
        1 => Just(Step::Base),
        2 => any::<bool>().prop_map(Step::Open),
        2 => (any::<prop::sample::Index>(), 1_u64..3).prop_map(|(who, many)| Step::Zombie(who, many)),
        1 => any::<prop::sample::Index>().prop_map(Step::Copy),
    ]
}

/// A log, and what a reader of all of it knows. Written without the code under test.
#[derive(Debug, Default)]
struct History {
    log: Vec<Line>,
    epoch: u64,
    last: u64,
    /// The last number that the newest session gave.
    given: u64,
    /// The number in its base.
    base: u64,
    /// It has written its base.
    open: bool,
    /// The sessions before it that may go on.
    zombies: Vec<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Line {
    what: String,
    copy: bool,
    /// Whether it is a message that counts.
    taken: bool,
    /// The epoch and the number behind it.
    state: (u64, u64),
}

impl Line {
    /// Whether it is a tick that more was sent ahead of than it counts.
    fn is_ahead(&self) -> bool {
        let words: Vec<_> = self.what.split(' ').collect();
        words.len() == 4 && words[2] != words[3]
    }
}

impl History {
    fn of(steps: &[Step]) -> Self {
        let mut history = Self::default();
        history.open(true);
        steps.iter().for_each(|step| history.step(*step));
        history
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Messages(many) if self.open => self.messages(self.epoch, self.given, many),
            Step::Hole(many, lives) if self.open => {
                let before = self.given;
                self.messages(self.epoch, before + 1, many - 1);
                if lives {
                    self.messages(self.epoch, before, many);
                } else {
                    self.given = before;
                    self.open(false);
                }
            }
            Step::Tick if self.open => {
                self.write(format!("t {} {}", self.epoch, self.given), false)
            }
            Step::Ahead(many) if self.open => {
                let last = self.given.saturating_sub(many).max(self.base);
                self.write(format!("t {} {last} {}", self.epoch, self.given), false);
            }
            Step::Base if self.open => {
                self.write(format!("base {} {}", self.epoch, self.given), false);
            }
            Step::Open(begins) => self.open(begins),
            Step::Zombie(who, many) if !self.zombies.is_empty() => {
                let (epoch, given) = self.zombies[who.index(self.zombies.len())];
                self.messages(epoch, given, many);
                self.write(format!("t {epoch} {}", given + many), false);
            }
            Step::Copy(which) => {
                let copied = self.log[which.index(self.log.len())].what.clone();
                self.write(copied, true);
            }
            _ => {}
        }
    }

    fn open(&mut self, begins: bool) {
        if self.open {
            self.zombies.push((self.epoch, self.given));
        }
        let epoch = self.epoch + 1;
        self.write(format!("fence {epoch}"), false);
        (self.open, self.given, self.base) = (begins, self.last, self.last);
        if begins {
            self.write(format!("base {epoch} {}", self.last), false);
        }
    }

    fn messages(&mut self, epoch: u64, last: u64, many: u64) {
        for seq in last + 1..=last + many {
            self.write(format!("m {epoch} {seq}"), false);
        }
        if epoch == self.epoch {
            self.given = last + many;
        }
    }

    fn write(&mut self, what: String, copy: bool) {
        let words: Vec<_> = what.split(' ').collect();
        let number = |word: usize| words.get(word).and_then(|word| word.parse().ok()).unwrap_or(0);
        let taken = words[0] == "m" && (number(1), number(2)) == (self.epoch, self.last + 1);
        if words[0] == "fence" {
            self.epoch = self.epoch.max(number(1));
        }
        self.last += u64::from(taken);
        let state = (self.epoch, self.last);
        self.log.push(Line { what, copy, taken, state });
    }

    /// Whether, from a line on, something is there that the newest open session told, and no copy.
    fn tells(&self, from: usize) -> bool {
        let told = |line: &Line| {
            let newest = [format!("t {} ", line.state.0), format!("base {} ", line.state.0)];
            let current = newest.iter().any(|told| line.what.starts_with(told));
            current && !line.is_ahead() && !line.copy
        };
        let last = self.log.iter().rposition(told);
        last.is_some_and(|last| last >= from)
    }
}

proptest! {
    // Wherever reading begins: where something is left that the newest session told, opening is
    // told the right number, or that it can't be known.
    #[test]
    fn no_wrong_number_is_told(
        steps in prop::collection::vec(step(), 0..30),
        from: prop::sample::Index,
        copies in 0_usize..2,
    ) {
        let mut left = copies;
        let keep = |step: &Step| !matches!(step, Step::Copy(_)) || std::mem::take(&mut left) > 0;
        let steps: Vec<_> = steps.into_iter().filter(keep).collect();
        let history = History::of(&steps);
        let from = from.index(history.log.len());
        let part: Vec<_> = history.log[from..].iter().map(|line| line.what.as_str()).collect();
        let seen = seen(&part);
        if !history.tells(from) {
            return Ok(());
        }
        let right = seen.last() == Some(history.last);
        prop_assert!(right || seen.is_unclear(), "{seen:?} of {part:?}, {} is right", history.last);
        let base = history.log.iter().rfind(|line| line.what.starts_with("base"));
        let began = base.map(|base| format!("fence {}", base.state.0));
        if copies == 0 && part.iter().any(|what| Some(*what) == began.as_deref()) {
            prop_assert!(right && !seen.is_unclear(), "{part:?}");
        }
    }

    // A consumer takes what a reader of the whole log takes, from an epoch's fence and base on.
    #[test]
    fn consumers_take_what_counts(
        steps in prop::collection::vec(step(), 0..40),
        from: prop::sample::Index,
        resume: prop::sample::Index,
    ) {
        let history = History::of(&steps);
        let from = from.index(history.log.len());
        let part = &history.log[from..];
        let resume = resume.index(part.len());
        let mut dedup = Dedup::default();
        let (mut fenced, mut exact) = (None, from == 0);
        for (at, line) in part.iter().enumerate() {
            let record = written(&line.what);
            let taken = match (&record.meta.stamp, Control::read(&record)) {
                (Some(stamp), _) if record.meta.msg_type == MsgType::INSERT => {
                    dedup.message(stamp, 1).unwrap() == Verdict::Accepted
                }
                (Some(stamp), _) => {
                    let exact = sent_ahead(&record, stamp.seq).is_none();
                    let _ = dedup.tick(stamp, exact, 1).unwrap();
                    false
                }
                (None, Some((control, epoch))) => {
                    dedup.control(&control, epoch, 1).unwrap();
                    false
                }
                (None, None) => unreachable!("all have one"),
            };
            let words: Vec<_> = line.what.split(' ').collect();
            if !line.copy && words[0] == "fence" {
                fenced = Some(words[1]);
            }
            exact |= !line.copy && words[0] == "base" && fenced == Some(words[1]);
            if exact {
                let state = dedup.state("p").unwrap();
                prop_assert_eq!(taken, line.taken, "line {} of {:?}", at, part);
                prop_assert_eq!((state.epoch.offset(), state.last), line.state, "line {} of {:?}", at, part);
            }
            if at == resume {
                let json = serde_json::to_string(&dedup.at_head()).unwrap();
                let (producers, dropped) = (serde_json::from_str(&json).unwrap(), Default::default());
                dedup = Dedup::resume(producers, dropped);
            }
        }
    }
}
