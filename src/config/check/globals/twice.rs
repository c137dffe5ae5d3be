//! One byte of a variable has one value: `settings.limit` and a mapping `settings` may say two.

use super::write::Write;
use crate::config::check::Sink;
use crate::problem::{Place, Problem};

/// Complains of values that lie upon one another.
pub(super) fn check(sink: &mut Sink<'_>, writes: &[Write]) {
    let mut order: Vec<(usize, &Write)> = writes.iter().enumerate().collect();
    order.sort_by_key(|(_, write)| (write.patch.section.as_str(), write.patch.offset));
    // Those that reach to where the next one begins: few, because each byte belongs to one.
    let mut reaching: Vec<(usize, &Write)> = Vec::new();
    for (index, write) in order {
        let begin = (write.patch.section.as_str(), write.patch.offset);
        reaching.retain(|(_, other)| other.patch.section == begin.0 && end(other) > begin.1);
        if let Some((other_index, other)) = reaching.iter().find(|(_, other)| overlap(other, write)) {
            // The one that stands later in the file is told of.
            let (first, second) = if *other_index < index { (*other, write) } else { (write, *other) };
            let message = format!("`{}` is set twice", second.patch.name);
            let problem = Problem::error("global-twice", Place::default(), message)
                .found(format!("`{}` sets the same bytes", first.patch.name))
                .help("remove one of them");
            sink.report(&second.spot, problem);
            continue;
        }
        reaching.push((index, write));
    }
}

fn end(write: &Write) -> usize {
    write.patch.offset.saturating_add(write.patch.bytes.len())
}

fn overlap(one: &Write, other: &Write) -> bool {
    if one.patch.mask.is_none() && other.patch.mask.is_none() {
        return true;
    }
    let (begin, end) = (one.patch.offset.max(other.patch.offset), end(one).min(end(other)));
    (begin..end).any(|at| bits(one, at) & bits(other, at) != 0)
}

/// Which bits of a byte of the section are written.
fn bits(write: &Write, at: usize) -> u8 {
    let Some(inside) = at.checked_sub(write.patch.offset) else { return 0 };
    match &write.patch.mask {
        Some(mask) => mask.get(inside).copied().unwrap_or(0),
        None => 0xff,
    }
}
