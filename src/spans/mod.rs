//! Spans that programs report through ring buffers, sent to an OpenTelemetry collector.
//!
//! The thread that consumes a buffer makes a span of each record at once, because only then the
//! monotonic clock can be told from the wall's, and puts it into one bounded queue. A thread of
//! this room's own takes batches out of it and posts them, as OTLP in protobuf over HTTP/1.1.
//! Whatever happens, spans wait for nobody: what finds the queue full is dropped and counted.
//!
//! The client is a blocking one over a plain socket: async lives in `server` alone, and one
//! request every few seconds needs none. There is no TLS; a collector beside the exporter
//! has it. Names are resolved here, because a static binary must not use glibc's resolver.

mod counts;
mod deliver;
mod endpoint;
mod environment;
mod export;
mod http;
mod otlp;
mod pairs;
mod protobuf;
mod queue;
mod record;
mod resolve;
mod retry;
mod span;

pub use counts::{ConfigCounts, Counts, Dropped};
pub use endpoint::Endpoint;
pub use environment::{Choice, Environment, Refusal, Settings, read_environment};
pub use export::{Prepare, SpanSink, Spans};
