//! The merge in event time.
