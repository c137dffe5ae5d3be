//! Wiring, signals, privileges.
