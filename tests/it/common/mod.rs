//! What several topics share.

pub mod kernel;
pub mod objects;
