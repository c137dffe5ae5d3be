//! Events as metrics: records of buffers become entries of tallies, which are read like maps.
//!
//! A [`Tally`] is a map in user space. Its keys are the bytes of those members of a record that labels are made of, so
//! that decoding, limits, histograms and pages come from the path that maps have. Nothing here knows where records
//! come from, or what the time is.

mod amount;
mod key;
mod load;
mod plan;
mod seed;
mod sink;
mod slots;
mod tallies;
mod tally;

#[cfg(test)]
mod tests;

pub use plan::Conditions;
pub use sink::TallySink;
pub use tallies::Tallies;
pub use tally::Tally;
