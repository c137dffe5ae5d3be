//! What becomes of a source that has no room for another entry.

/// How a source takes in a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There are no new keys: all entries are there from the start.
    Fixed,
    /// When it is full it refuses them.
    Refuses,
    /// When it is full it counts them together, in one entry.
    Merges,
    /// When it is full it gives up the entry that was least used.
    Evicts,
}

/// What became of an entry that was to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is out, and its last value told.
    Out,
    /// It stays, because it has another value than expected.
    Changed,
    /// It was not there any more.
    Gone,
}
