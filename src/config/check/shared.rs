//! Maps that configs share by a name: `maps: {m: {shared: flows}}`.

use super::Sink;
use crate::config::raw::RawMap;
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};

/// The name by which a map is shared, if it is.
pub(super) fn name(sink: &mut Sink<'_>, map: &MapInfo, raw: &RawMap) -> Option<String> {
    let shared = raw.shared.as_ref()?;
    let problem = |message: String| Problem::error("bad-shared", Place::default(), message);
    if shared.value.trim().is_empty() {
        let problem = problem(format!("the name by which `{}` is shared is empty", map.name));
        sink.report(&shared.spot, problem.expected("a name that another config gives, too"));
        return None;
    }
    if raw.given("pin_path").is_some() || map.pinned {
        let problem = problem(format!("`{}` is shared twice: by its pin, and by a name", map.name));
        let problem = problem.expected("`shared` or a pin").found("both");
        sink.report(
            &shared.spot,
            problem.help("remove one of the two: configs with the same pin have one map, too"),
        );
        return None;
    }
    if !can_be_shared(map.kind) {
        let problem = problem(format!("`{}` cannot be shared", map.name));
        let problem =
            problem.expected("a map whose entries mean the same to every object").found(map.kind.to_string());
        sink.report(&shared.spot, problem.help("remove `shared`"));
        return None;
    }
    Some(shared.value.clone())
}

/// Whether a map can serve several objects. A buffer has one reader, and what a map of programs, functions or
/// maps holds belongs to one object.
fn can_be_shared(kind: MapKind) -> bool {
    let belongs_to_one = matches!(
        kind,
        MapKind::PROG_ARRAY
            | MapKind::PERF_EVENT_ARRAY
            | MapKind::RINGBUF
            | MapKind::USER_RINGBUF
            | MapKind::STRUCT_OPS
            | MapKind::ARENA
            | MapKind::INSN_ARRAY
    );
    !belongs_to_one && !kind.is_map_in_map()
}
