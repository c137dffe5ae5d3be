//! What the config changes about maps before they are made.

use libbpf_rs::OpenObject;

use crate::problem::{Place, Problem};
use crate::spec::{LoadSpec, MapSetting};

use super::explain;

/// Sets capacities.
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
    let Some(max_entries) = setting.max_entries else { return Ok(()) };
    let place = Place {
        config: Some(spec.name.clone()),
        path: format!("maps.{}.max_entries", setting.name),
        map: Some(setting.name.clone()),
        ..Place::default()
    };
    let map = object.maps_mut().find(|map| map.name().to_str() == Some(setting.name.as_str()));
    let outcome = match map {
        Some(mut map) => {
            map.set_max_entries(max_entries).map_err(|error| explain::errno_text(explain::errno_of(&error)))
        }
        None => Err("libbpf finds no map of this name".to_owned()),
    };
    outcome.map_err(|reason| {
        let message = format!("the capacity of the map `{}` cannot be set: {reason}", setting.name);
        Problem::error("max-entries", place, message).expected(max_entries.to_string()).into()
    })
}
