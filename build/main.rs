//! What the build finds out about its machine and its source.

mod identity;
mod libelf;

fn main() {
    identity::tell_all();
    libelf::complete();
}
