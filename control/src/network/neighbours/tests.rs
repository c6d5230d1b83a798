//! Walk-throughs.
