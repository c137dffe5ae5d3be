//! What several topics share.

pub mod exporter;
pub mod folder;
pub mod kernel;
pub mod objects;
