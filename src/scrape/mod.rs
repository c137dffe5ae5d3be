//! One pass over the live generation.
