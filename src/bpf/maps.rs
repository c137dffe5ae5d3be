//! What the config changes about maps before they are made.

use std::sync::OnceLock;

use libbpf_rs::{MapHandle, MapType, OpenObject};

use crate::problem::{Place, Problem};
use crate::spec::{LoadSpec, MapSetting};

use super::{explain, raw};

/// Up to this size the kernel takes an array's memory in one piece, and programs reach it faster than mapped pages.
const ONE_PIECE: u64 = 32 << 10;

/// Has large plain arrays made so that their memory can be mapped, which is how they are read fastest. For programs
/// it makes no difference: the kernel takes the memory page by page either way. Maps that are taken over stay as they are.
pub(super) fn make_mappable(object: &mut OpenObject) {
    let nests = |kind| matches!(kind, MapType::ArrayOfMaps | MapType::HashOfMaps);
    // An inner map must have the flags of the one that its outer map was declared with.
    if object.maps().any(|map| nests(map.map_type())) {
        return;
    }
    for mut map in object.maps_mut() {
        let stride = u64::from(map.value_size()).next_multiple_of(8);
        let is_large = stride.saturating_mul(u64::from(map.max_entries())) > ONE_PIECE;
        let is_plain = map.map_type() == MapType::Array && map.map_flags() == 0 && !raw::is_pinned(&map);
        if is_large && is_plain && arrays_can_be_mapped() {
            // Refused for a map that is taken over.
            let _ = map.set_map_flags(libbpf_sys::BPF_F_MMAPABLE);
        }
    }
}

/// Whether the running kernel knows such arrays: Linux 5.5 does.
fn arrays_can_be_mapped() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
            map_flags: libbpf_sys::BPF_F_MMAPABLE,
            ..Default::default()
        };
        MapHandle::create(MapType::Array, Some("mappable"), 4, 8, 1, &options).is_ok()
    })
}

/// Sets capacities and pins.
///
/// # Errors
/// All that is wrong with any of them.
pub(super) fn set_options(object: &mut OpenObject, spec: &LoadSpec) -> Result<(), Vec<Problem>> {
    let problems: Vec<Problem> = spec
        .maps
        .iter()
        .filter_map(|setting| set(object, spec, setting).err())
        .map(|problem| *problem)
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn set(object: &mut OpenObject, spec: &LoadSpec, setting: &MapSetting) -> Result<(), Box<Problem>> {
    let map = object.maps_mut().find(|map| map.name().to_str() == Some(setting.name.as_str()));
    let failed = |key: &str, code, message: String| {
        let place = Place {
            config: Some(spec.name.clone()),
            path: format!("maps.{}.{key}", setting.name),
            map: Some(setting.name.clone()),
            ..Place::default()
        };
        Box::new(Problem::error(code, place, message))
    };
    let reason = |error: libbpf_rs::Error| explain::errno_text(explain::errno_of(&error));
    let Some(mut map) = map else {
        let message = format!("libbpf finds no map of the name `{}`", setting.name);
        return Err(failed("max_entries", "max-entries", message));
    };
    if let Some(max_entries) = setting.max_entries {
        map.set_max_entries(max_entries).map_err(|error| {
            let reason = reason(error);
            let message = format!("the capacity of the map `{}` cannot be set: {reason}", setting.name);
            failed("max_entries", "max-entries", message).expected(max_entries.to_string())
        })?;
    }
    if let Some(path) = &setting.pin_path {
        map.set_pin_path(path).map_err(|error| {
            let reason = reason(error);
            let message = format!("`{}` cannot be pinned at {}: {reason}", setting.name, path.display());
            failed("pin_path", "pin-place", message)
        })?;
    }
    Ok(())
}
