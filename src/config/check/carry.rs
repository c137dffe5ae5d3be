//! Which maps a reload may hand from one object to the next.

use super::{Context, events};
use crate::config::raw::RawConfig;
use crate::elf::{MAPS_OF_USDT, MapInfo, MapKind};
use crate::spec::{MapDefinition, MapSetting};

/// Every map that may be handed over, unless `carry: false` says otherwise.
pub(crate) fn carried(context: &Context<'_>, raw: &RawConfig, settings: &[MapSetting]) -> Vec<MapDefinition> {
    let starts_fresh = |map: &MapInfo| {
        raw.maps.iter().any(|setting| setting.name.value == map.name && setting.carry == Some(false))
    };
    let maps = context.object.maps.iter().filter(|map| is_portable(map) && !starts_fresh(map));
    maps.filter_map(|map| definition(context, raw, map, settings)).collect()
}

/// Whether a map can serve two objects at a time. A map of programs or of maps is filled while its object is
/// loaded, before the old programs are gone; a section of variables gets new initial values.
fn is_portable(map: &MapInfo) -> bool {
    let is_own = BELONG_TO_ONE.contains(&map.kind) || MAPS_OF_USDT.contains(&map.name.as_str());
    !is_own && !map.kind.is_map_in_map() && !map.name.starts_with('.')
}

/// Kinds whose entries are for the programs of one object, or that the kernel lets only programs of one kind use.
const BELONG_TO_ONE: &[MapKind] = &[
    MapKind::PROG_ARRAY,
    MapKind::PERF_EVENT_ARRAY,
    MapKind::DEVMAP,
    MapKind::CPUMAP,
    MapKind::DEVMAP_HASH,
    MapKind::STRUCT_OPS,
    MapKind::ARENA,
    MapKind::INSN_ARRAY,
];

/// A map's definition; none when its types cannot be told apart from others.
fn definition(
    context: &Context<'_>,
    raw: &RawConfig,
    map: &MapInfo,
    settings: &[MapSetting],
) -> Option<MapDefinition> {
    let shape = |id: Option<_>| id.map_or(Some(String::new()), |id| context.object.btf.shape(id));
    let types = match map.kind {
        // What one object's programs wrote is read as what the next one's do.
        MapKind::RINGBUF => [String::new(), events::event_types(context, raw, map)?],
        _ => [shape(map.key_type)?, shape(map.value_type)?],
    };
    Some(MapDefinition { types, ..without_types(map, settings) })
}

/// What every map is. Types that are like no others are left out.
pub(crate) fn definitions(context: &Context<'_>, settings: &[MapSetting]) -> Vec<MapDefinition> {
    let shape = |id: Option<_>| id.and_then(|id| context.object.btf.shape(id)).unwrap_or_default();
    let of = |map: &MapInfo| {
        let types = [shape(map.key_type), shape(map.value_type)];
        MapDefinition { types, ..without_types(map, settings) }
    };
    context.object.maps.iter().map(of).collect()
}

fn without_types(map: &MapInfo, settings: &[MapSetting]) -> MapDefinition {
    let setting = settings.iter().find(|setting| setting.name == map.name);
    MapDefinition {
        name: map.name.clone(),
        kind: map.kind.0,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: setting.and_then(|setting| setting.max_entries).unwrap_or(map.max_entries),
        flags: map.flags,
        extra: map.map_extra,
        numa_node: map.numa_node,
        types: Default::default(),
    }
}
