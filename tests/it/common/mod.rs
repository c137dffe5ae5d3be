//! What several topics share.

pub mod objects;
