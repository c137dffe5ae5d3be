//! Encoders, one file per wire format; chunks, codings, negotiation.
//!
//! An encoder brackets what decoders write: a label's text is appended to the page itself,
//! and only then looked at. Histograms reach it uncumulated, with their bounds.

mod chunks;
mod coder;
mod float;
mod gzip;
mod negotiate;
mod proto;
mod text;
mod zstd;

pub use chunks::{CHUNK, Chunks, Outlet, Pool};
pub use coder::Coder;
pub use float::push_float;
pub use gzip::gzip;
pub use negotiate::{Coding, coding};
pub use proto::encode_families;
pub use text::{CONTENT_TYPE, Family, TextPage, Type};
pub use zstd::zstd;
