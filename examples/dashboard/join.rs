//! Joins orders with the click that led to them.

use std::collections::BTreeMap;

use msgstream::{MsgPack, Timestamp};

use crate::Result;
use crate::events::{Click, Order};

/// For so long a click counts, in milliseconds.
const COUNTS_MS: i64 = 30_000;

/// By minute and source, the cents of what was ordered; `None` where no click led to it.
pub(crate) type Minutes = BTreeMap<i64, BTreeMap<Option<String>, u64>>;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Join {
    /// The last click of each customer.
    clicks: BTreeMap<String, Click>,
    pub(crate) minutes: Minutes,
}

enum Either {
    Click(Click),
    Order(Order),
}

impl Join {
    /// Takes a pack: all that happened between two ticks, on all channels.
    pub(crate) fn take(&mut self, pack: &MsgPack) -> Result<()> {
        let mut both = Vec::new();
        for click in pack.decode::<Click>() {
            let click = click?.value;
            both.push((click.at, Either::Click(click)));
        }
        for order in pack.decode::<Order>() {
            let order = order?.value;
            both.push((order.at, Either::Order(order)));
        }
        // At the same time the click was first: they were taken in that order, and sorting keeps it.
        both.sort_by_key(|(at, _)| *at);
        for (_, event) in both {
            match event {
                Either::Click(click) => drop(self.clicks.insert(click.customer.clone(), click)),
                Either::Order(order) => self.order(&order),
            }
        }
        // No order can follow that an older click led to.
        let counts =
            |at: Timestamp| pack.end_ts.physical_ms() as i64 - at.physical_ms() as i64 <= COUNTS_MS;
        self.clicks.retain(|_, click| counts(click.at));
        Ok(())
    }

    fn order(&mut self, order: &Order) {
        let ms = order.at.physical_ms() as i64;
        let click = self.clicks.get(&order.customer);
        let click = click.filter(|click| ms - click.at.physical_ms() as i64 <= COUNTS_MS);
        let minute = self.minutes.entry(ms / 60_000).or_default();
        *minute.entry(click.map(|click| click.source.clone())).or_default() += order.cents;
    }
}
