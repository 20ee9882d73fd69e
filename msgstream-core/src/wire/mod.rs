//! The record format: metadata as headers, and positions as bytes.
