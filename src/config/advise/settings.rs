//! An object as its config has it loaded: what is set there counts, not what the object says.

use crate::elf::ObjectInfo;
use crate::spec::{Attach, LoadSpec, Tc, TcMode};

/// Gives maps the capacity and programs the fate that a config sets.
pub fn apply_settings(info: &mut ObjectInfo, load: &LoadSpec) {
    for setting in &load.maps {
        let map = info.maps.iter_mut().find(|map| map.name == setting.name);
        if let (Some(map), Some(entries)) = (map, setting.max_entries) {
            map.max_entries = entries;
        }
    }
    for setting in &load.programs {
        let program = info.programs.iter_mut().find(|program| program.name == setting.name);
        let Some(program) = program else { continue };
        if let Some(enabled) = setting.enabled {
            program.autoload = enabled;
        }
        // Only who asks for links needs them.
        program.is_filter =
            matches!(&setting.attach, Some(Attach::Tc(Tc { mode, .. })) if *mode != TcMode::Tcx);
    }
    // Alternatives are loaded even if a `?` switches them off.
    for name in load.choices.iter().flatten() {
        let is_off = load.programs.iter().any(|set| set.name == *name && set.enabled == Some(false));
        let program = info.programs.iter_mut().find(|program| program.name == *name && !is_off);
        if let Some(program) = program {
            program.autoload = true;
        }
    }
}
