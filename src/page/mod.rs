//! Encoders, one file per wire format.
