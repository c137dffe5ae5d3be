//! The supervisor: from files to the live generation.
