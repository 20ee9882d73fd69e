//! The Message Stream Service: channels with an owner.
