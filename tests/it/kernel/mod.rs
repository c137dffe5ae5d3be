//! What the kernel gives: loading, attaching, reading.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Programs at work: what they count is what happened.
mod attach;

/// Reading while other threads insert and delete.
mod churn;

/// Arrays whose memory is mapped, and which are made so.
mod mapped;

/// Programs at the places that their config names.
mod places;

/// Globals, capacities, programs and choices of a config at work.
mod settings;

/// What is said when programs are not attached.
mod refuse;

/// One object takes over from another while its programs count.
mod handover;

/// Maps that maps hold.
mod nested;

/// Loading: global variables, refusals, faults.
mod load;

/// Keys that are shown alike: seen while they are read.
mod forms;

/// What is attached and is no program.
pub mod operations;

/// Every kind of section.
mod sections;

/// Reading maps that stand still: every kind, size and bound.
mod read;

/// Streams of events by the header: what is delivered and what is lost are all.
mod streams;

/// Taking entries out, and counting them beside scrapes.
mod take;

/// Detaching: at once, in order, leaving nothing.
mod retire;

/// Entries of a map that is large.
const LARGE: u32 = 60_000;
