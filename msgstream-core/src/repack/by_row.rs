//! Splits inserts and deletes row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use super::{HashKeys, Repack, RepackError, Repacked, bucket};
use crate::message::proto::ids::IdField;
use crate::message::proto::{
    DeleteRequest, Ids, InsertDataVersion, InsertRequest, LongArray, StringArray,
};
use crate::message::{Message, MsgBody, MsgPack, ProtoMsg, TsMsg, next_msg_ids};

/// Splits each insert by row: a row goes to the channel of its own hash key.
///
/// The rows of one insert that go to the same channel stay together, in one insert with an id of its
/// own. An insert whose rows all go to one channel is sent unchanged. A column-based insert is refused
/// if its rows go to several channels. Other messages are refused.
///
/// ```
/// use msgstream_core::message::proto::{Blob, InsertRequest};
/// use msgstream_core::message::{InsertMsg, Message};
/// use msgstream_core::repack::{HashKeys, InsertByRow, Repack};
/// let request = InsertRequest {
///     timestamps: vec![7, 8],
///     row_ids: vec![1, 2],
///     row_data: vec![Blob::default(), Blob::default()],
///     ..Default::default()
/// };
/// let messages = vec![Message::from(InsertMsg::new(request).with_hash_keys([4, 5]))];
/// let keys = HashKeys::of_messages(&messages);
/// assert_eq!(InsertByRow.repack(messages, &keys, 2)?.len(), 2);
/// # Ok::<(), msgstream_core::repack::RepackError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InsertByRow;

/// Splits each delete by primary key: a key goes to the channel of its own hash key.
///
/// The keys of one delete that go to the same channel stay together, in one delete with an id of its
/// own. A delete whose keys all go to one channel is sent unchanged. Other messages are refused.
///
/// ```
/// use msgstream_core::message::proto::DeleteRequest;
/// use msgstream_core::message::{DeleteMsg, Message};
/// use msgstream_core::repack::{DeleteByKey, HashKeys, Repack};
/// let request = DeleteRequest {
///     timestamps: vec![7, 8],
///     int64_primary_keys: vec![1, 2],
///     num_rows: 2,
///     ..Default::default()
/// };
/// let messages = vec![Message::from(DeleteMsg::new(request).with_hash_keys([4, 6]))];
/// let keys = HashKeys::of_messages(&messages);
/// // Both keys belong to the first of two channels.
/// assert_eq!(DeleteByKey.repack(messages, &keys, 2)?.len(), 1);
/// # Ok::<(), msgstream_core::repack::RepackError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DeleteByKey;

impl Repack for InsertByRow {
    fn repack(
        &self,
        msgs: Vec<Message>,
        keys: &HashKeys,
        channels: usize,
    ) -> Result<Repacked, RepackError> {
        by_row::<InsertRequest>(msgs, keys, channels)
    }
}

impl Repack for DeleteByKey {
    fn repack(
        &self,
        msgs: Vec<Message>,
        keys: &HashKeys,
        channels: usize,
    ) -> Result<Repacked, RepackError> {
        by_row::<DeleteRequest>(msgs, keys, channels)
    }
}

/// A request made of rows.
trait Rows: MsgBody + Clone {
    /// The name of such messages in errors.
    const NAME: &'static str;

    /// Returns the number of rows of a request that passed [`MsgBody::check`].
    fn rows(&self) -> usize;

    /// Returns why the rows can't be split, if they can't.
    fn inseparable(&self) -> Option<&'static str>;

    /// Deals the rows out to requests that are otherwise equal: row `i` to request `to[i]`.
    fn deal(self, to: &[usize], requests: usize) -> Vec<Self>;
}

impl Rows for InsertRequest {
    const NAME: &'static str = "inserts";

    fn rows(&self) -> usize {
        self.rows()
    }

    fn inseparable(&self) -> Option<&'static str> {
        let by_row = self.version() == InsertDataVersion::RowBased && self.fields_data.is_empty();
        (!by_row).then_some("its rows are stored as columns")
    }

    fn deal(mut self, to: &[usize], requests: usize) -> Vec<Self> {
        let mut timestamps = deal(take(&mut self.timestamps), to, requests);
        let mut row_ids = deal(take(&mut self.row_ids), to, requests);
        let mut row_data = deal(take(&mut self.row_data), to, requests);
        // 0 means that it isn't set.
        let counted = self.num_rows != 0;
        let counts = counts(to, requests);
        let request = |i: usize| Self {
            timestamps: take(&mut timestamps[i]),
            row_ids: take(&mut row_ids[i]),
            row_data: take(&mut row_data[i]),
            num_rows: if counted { counts[i] as u64 } else { 0 },
            ..self.clone()
        };
        (0..requests).map(request).collect()
    }
}

impl Rows for DeleteRequest {
    const NAME: &'static str = "deletes";

    fn rows(&self) -> usize {
        self.keys()
    }

    fn inseparable(&self) -> Option<&'static str> {
        let legacy = self.int64_primary_keys.len();
        (legacy != 0 && legacy != self.keys())
            .then_some("it has keys in the old form and in the new form, and their numbers differ")
    }

    fn deal(mut self, to: &[usize], requests: usize) -> Vec<Self> {
        let mut timestamps = deal(take(&mut self.timestamps), to, requests);
        let mut legacy = deal(take(&mut self.int64_primary_keys), to, requests);
        let mut keys: Vec<Option<Ids>> = match self.primary_keys.take().and_then(|k| k.id_field) {
            None => vec![None; requests],
            Some(IdField::IntId(keys)) => deal(keys.data, to, requests)
                .into_iter()
                .map(|data| Some(ids(IdField::IntId(LongArray { data }))))
                .collect(),
            Some(IdField::StrId(keys)) => deal(keys.data, to, requests)
                .into_iter()
                .map(|data| Some(ids(IdField::StrId(StringArray { data }))))
                .collect(),
        };
        let counted = self.num_rows != 0;
        let counts = counts(to, requests);
        let request = |i: usize| Self {
            timestamps: take(&mut timestamps[i]),
            int64_primary_keys: take(&mut legacy[i]),
            primary_keys: keys[i].take(),
            num_rows: if counted { i64::try_from(counts[i]).unwrap_or(i64::MAX) } else { 0 },
            ..self.clone()
        };
        (0..requests).map(request).collect()
    }
}

const fn ids(keys: IdField) -> Ids {
    Ids { id_field: Some(keys) }
}

/// Deals a column out to lists: value `i` to list `to[i]`. An empty column is one that isn't set.
fn deal<T>(column: Vec<T>, to: &[usize], lists: usize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..lists).map(|_| Vec::new()).collect();
    for (value, to) in column.into_iter().zip(to) {
        dealt[*to].push(value);
    }
    dealt
}

/// Returns how many values go to each list.
fn counts(to: &[usize], lists: usize) -> Vec<usize> {
    let mut counts = vec![0; lists];
    to.iter().for_each(|to| counts[*to] += 1);
    counts
}

fn by_row<B: Rows>(
    msgs: Vec<Message>,
    keys: &HashKeys,
    channels: usize,
) -> Result<Repacked, RepackError> {
    let mut packs: BTreeMap<usize, Vec<Message>> = BTreeMap::new();
    for (index, msg) in msgs.into_iter().enumerate() {
        let msg = typed::<B>(msg, index)?;
        for (channel, part) in split(msg, index, keys.of(index), channels)? {
            packs.entry(channel).or_default().push(Message::Typed(part));
        }
    }
    Ok(packs.into_iter().map(|(channel, msgs)| (channel, MsgPack::new(msgs))).collect())
}

/// Returns the message as the type that the repack takes.
fn typed<B: Rows>(msg: Message, index: usize) -> Result<Box<ProtoMsg<B>>, RepackError> {
    let msg_type = msg.msg_type();
    let found = match msg {
        Message::Typed(msg) => match msg.downcast() {
            Ok(msg) => return Ok(msg),
            Err(_) => format!("a message of type {msg_type}"),
        },
        Message::Stored(_) => format!("an undecoded record of type {msg_type}"),
    };
    Err(RepackError::MixedTypes { index, expected: B::NAME, found })
}

/// A part of a message, and the index of the channel that it goes to.
type Part = (usize, Box<dyn TsMsg>);

/// Returns the parts of one message, by channel.
fn split<B: Rows>(
    msg: Box<ProtoMsg<B>>,
    index: usize,
    keys: &[u32],
    channels: usize,
) -> Result<Vec<Part>, RepackError> {
    msg.body().check().map_err(|source| RepackError::Inconsistent { index, source })?;
    let rows = msg.body().rows();
    if keys.len() != rows {
        return Err(RepackError::KeyCount { index, keys: keys.len(), rows });
    }
    let buckets: Vec<usize> =
        keys.iter().map(|k| bucket(*k, channels)).collect::<Result<_, _>>()?;
    let msg_type = msg.msg_type();
    let Some(first) = buckets.first() else {
        return Err(RepackError::NoHashKey { index, msg_type });
    };
    if buckets.iter().all(|b| b == first) {
        return Ok(vec![(*first, msg)]);
    }
    let used: Vec<usize> = buckets.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let parts = used.len();
    if let Some(reason) = msg.body().inseparable() {
        return Err(RepackError::Inseparable { index, channels: parts, reason });
    }
    let to: Vec<usize> = buckets.iter().map(|b| used.partition_point(|u| u < b)).collect();
    // There are at most as many as rows, which is far less than 4 billion.
    let ids = next_msg_ids(u32::try_from(parts).unwrap_or(u32::MAX));
    let requests = msg.into_body().deal(&to, parts);
    let keys = deal(keys.to_vec(), &to, parts);
    let parts = requests.into_iter().zip(keys).zip(ids).map(|((request, keys), id)| {
        let part = ProtoMsg::<B>::new(request).with_msg_type(msg_type).with_msg_id(id);
        Box::new(part.with_hash_keys(keys)) as Box<dyn TsMsg>
    });
    Ok(used.into_iter().zip(parts).collect())
}
