//! An object as its config has it loaded: what is set there counts, not what the object says.

use crate::elf::ObjectInfo;
use crate::spec::LoadSpec;

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
        if let (Some(program), Some(enabled)) = (program, setting.enabled) {
            program.autoload = enabled;
        }
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
