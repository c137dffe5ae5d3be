//! Losses of events that programs count themselves, recognised by their type.

use super::super::Context;
use crate::btf::{Kind, MemberKind, ScalarKind, TypeId};
use crate::elf::{MapKind, section_map};
use crate::spec::LossSpec;

/// The struct whose members are reasons. `bpf-objects` has a header with it.
const TYPE_NAME: &str = "event_losses";

/// What a map or variable is called behind the name of the buffer that it belongs to.
const SUFFIX: &str = "_losses";

/// More elements are no losses: one for each possible CPU is what people write.
const MAX_ELEMENTS: u32 = 4096;

/// Every map and variable that holds losses.
pub(crate) fn losses(context: &Context<'_>) -> Vec<LossSpec> {
    let maps = context
        .object
        .maps
        .iter()
        .filter(|map| matches!(map.kind, MapKind::ARRAY | MapKind::PERCPU_ARRAY) && map.max_entries == 1);
    let of_maps =
        maps.filter_map(|map| spec(context, &map.name, map.name.clone(), 0, map.value_type?, map.value_size));
    let variables =
        context.object.variables.iter().filter(|variable| !variable.section.starts_with(".rodata"));
    let of_variables = variables.filter_map(|variable| {
        let declared = context.object.btf.type_by_id(variable.type_id).ok()?.target();
        let section = section_map(&variable.section).to_owned();
        spec(context, &variable.name, section, variable.offset as usize, declared, variable.size)
    });
    of_maps.chain(of_variables).collect()
}

fn spec(
    context: &Context<'_>,
    name: &str,
    map: String,
    offset: usize,
    id: TypeId,
    size: u32,
) -> Option<LossSpec> {
    let btf = &context.object.btf;
    let mut found = btf.resolve(id).ok()?;
    let mut elements = 1;
    if found.kind() == Kind::Array {
        elements = found.element_count();
        found = btf.resolve(found.target()).ok()?;
    }
    if found.kind() != Kind::Struct || found.name() != TYPE_NAME || !(1..=MAX_ELEMENTS).contains(&elements) {
        return None;
    }
    let layout = btf.layout(found.id()).ok()?;
    let is_word = |kind| matches!(kind, MemberKind::Scalar(ScalarKind::Unsigned));
    let own = layout.members.iter().filter(|member| {
        is_word(member.kind) && member.size == 8 && member.bits.is_none() && member.offset % 8 == 0
    });
    let reasons: Vec<(String, usize)> = own.map(|member| (member.path.clone(), member.offset / 8)).collect();
    let (words, elements) = (layout.size / 8, elements as usize);
    let is_whole = layout.size % 8 == 0 && words > 0 && layout.size * elements == size as usize;
    let source = name.strip_suffix(SUFFIX).filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned();
    (is_whole && !reasons.is_empty()).then_some(LossSpec { source, map, offset, words, elements, reasons })
}
