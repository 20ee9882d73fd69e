//! What all views of messages have in common.

use super::base::MsgBaseView;
use super::field::Fields;
use super::wire::DEPTH;
use crate::message::{DecodeError, MsgBody, ProtoMsg, Unmarshal as _};
use crate::record::Record;

/// Defines a struct with the fields of a protobuf message. After `of` comes the struct that is decoded
/// to, if records have such messages.
macro_rules! view {
    (
        $(#[$doc:meta])*
        $name:ident<$a:lifetime> {
            $($(#[$field_doc:meta])* $tag:literal $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name<$a> {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        fields!(<$a> $name<$a> { $($tag $field)* });
    };
    (
        $(#[$doc:meta])*
        $name:ident<$a:lifetime> of $body:ty $(, checked by $check:path)? {
            $($fields:tt)*
        }
    ) => {
        view! {
            $(#[$doc])*
            $name<$a> {
                /// Type, id and time.
                1 base: Option<$crate::message::view::MsgBaseView<$a>>,
                $($fields)*
            }
        }

        impl<$a> $crate::message::view::message::MessageView<$a> for $name<$a> {
            type Body = $body;

            fn base_mut(&mut self) -> &mut Option<$crate::message::view::MsgBaseView<$a>> {
                &mut self.base
            }

            $(fn check(&self) -> Result<(), $crate::message::DecodeError> {
                $check(self)
            })?
        }

        impl<$a> $crate::message::FromRecord<$a> for $name<$a> {
            const TYPE: $crate::record::MsgType =
                <$body as $crate::message::MsgBody>::MSG_TYPE;

            fn from_record(
                record: &$a $crate::record::Record,
            ) -> Result<Self, $crate::message::DecodeError> {
                $crate::message::view::message::read(record)
            }
        }
    };
}

/// A view of a whole record.
pub(super) trait MessageView<'a>: Fields<'a> {
    /// What the record is decoded to otherwise.
    type Body: MsgBody;

    fn base_mut(&mut self) -> &mut Option<MsgBaseView<'a>>;

    /// The same as [`MsgBody::check`].
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Does the same as [`ProtoMsg`]'s [`unmarshal`](crate::Unmarshal::unmarshal).
pub(super) fn read<'a, V: MessageView<'a>>(record: &'a Record) -> Result<V, DecodeError> {
    let mut view = V::default();
    view.merge_all(&record.payload, DEPTH).ok_or_else(|| refused::<V::Body>(record))?;
    view.check()?;
    view.base_mut().get_or_insert_with(|| MsgBaseView::of(&record.meta));
    Ok(view)
}

/// Returns the reason for which prost refuses a record.
#[cold]
fn refused<B: MsgBody>(record: &Record) -> DecodeError {
    match ProtoMsg::<B>::unmarshal(record) {
        Err(error) => error,
        // Both follow the same rules, so this isn't expected.
        Ok(_) => DecodeError::corrupt("it can be decoded, but not viewed"),
    }
}
