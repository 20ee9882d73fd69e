//! The rows of the tables.

use std::fmt;

use crate::{Rates, Shape, Workload};

/// A workload in a shape.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What is done.
    pub workload: Workload,
    /// With how much of what.
    pub shape: Shape,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workload, self.shape)
    }
}

impl Case {
    /// Returns all that are measured, in the order of the tables.
    pub fn all() -> impl Iterator<Item = Self> {
        Workload::ALL
            .into_iter()
            .flat_map(|workload| {
                [128, 1024].into_iter().flat_map(move |payload| {
                    [Rates::Equal, Rates::Skewed].into_iter().flat_map(move |rates| {
                        [1, 2, 8, 64, 1024]
                            .into_iter()
                            // A single channel has nothing to be faster than.
                            .filter(move |channels| rates == Rates::Equal || *channels > 1)
                            .map(move |channels| Self {
                                workload,
                                shape: Shape { payload, channels, rates },
                            })
                    })
                })
            })
            .filter(|case| !case.workload.has_session() || SESSIONS.contains(&case.shape))
    }

    /// Returns how many messages take some tenths of a second.
    #[must_use]
    pub const fn messages(self) -> usize {
        let small = match self.workload {
            Workload::Produce | Workload::ProduceSession | Workload::Decoded => 500_000,
            Workload::Merge
            | Workload::Undecoded
            | Workload::UndecodedSession
            | Workload::Views => 1_500_000,
        };
        if self.shape.payload > 128 { small / 2 } else { small }
    }
}

/// The shapes in which workloads with sessions are measured.
pub const SESSIONS: [Shape; 2] = [small(2), small(8)];

/// Small messages, equal rates.
const fn small(channels: usize) -> Shape {
    Shape { payload: 128, channels, rates: Rates::Equal }
}
