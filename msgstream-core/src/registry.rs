//! Connecting by URL: schemes and what answers to them.
