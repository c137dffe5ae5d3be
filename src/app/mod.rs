//! Wiring, signals, privileges.
//!
//! The order of a life: signals are taken over and the log begins; configs are loaded
//! and attached by threads that end; the main thread drops capabilities; only then do
//! the threads start that stay (the server, its workers), so that all of them have
//! what is kept and no more.

pub mod listeners;
pub mod logging;
pub mod notify;
pub mod privileges;
pub mod signals;
mod spans;
mod supervise;
mod upkeep;

mod check;
mod configs;
mod descriptors;
mod handler;
mod init;
mod inspect;
mod kernel;
mod run;
mod schema;
mod verdict;

pub use check::check;
pub use init::init;
pub use inspect::inspect;
pub use run::run;
pub use schema::print_schema;
