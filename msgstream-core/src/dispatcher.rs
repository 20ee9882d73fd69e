//! Records to messages.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::message::{DecodeError, MsgType, TsMsg, Unmarshal};
use crate::transport::Record;

type Template = Arc<dyn Fn(&Record) -> Result<Box<dyn TsMsg>, DecodeError> + Send + Sync>;

/// Decodes records by their type.
#[derive(Clone)]
pub struct UnmarshalDispatcher {
    templates: HashMap<MsgType, Template>,
}

impl UnmarshalDispatcher {
    /// A dispatcher that knows no type.
    #[must_use]
    pub fn empty() -> Self {
        Self { templates: HashMap::new() }
    }

    /// Registers a message type under its own number; what was registered for the number before
    /// is replaced.
    pub fn add_msg_template<M: Unmarshal>(&mut self) -> &mut Self {
        self.add_msg_template_fn(M::MSG_TYPE, |record| Ok(Box::new(M::unmarshal(record)?)))
    }

    /// Registers a function that decodes a type.
    pub fn add_msg_template_fn(
        &mut self,
        msg_type: MsgType,
        unmarshal: impl Fn(&Record) -> Result<Box<dyn TsMsg>, DecodeError> + Send + Sync + 'static,
    ) -> &mut Self {
        self.templates.insert(msg_type, Arc::new(unmarshal));
        self
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] for a type that isn't registered, else what the type's
    /// decoder says.
    pub fn unmarshal(&self, record: &Record) -> Result<Box<dyn TsMsg>, DecodeError> {
        let msg_type = record.meta.msg_type;
        let template = self.templates.get(&msg_type).ok_or(DecodeError::UnknownType { msg_type })?;
        template(record)
    }
}

impl fmt::Debug for UnmarshalDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut types: Vec<_> = self.templates.keys().collect();
        types.sort();
        f.debug_struct("UnmarshalDispatcher").field("types", &types).finish()
    }
}
