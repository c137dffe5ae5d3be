//! The members of a key, as the object's types tell them: labels that cut one in two
//! are probably sized wrong, and a key that is not covered is best shown.

use super::{Context, Sink};
use crate::btf::Layout;
use crate::config::raw::RawMetric;
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::LabelSource;

/// Members that are shown; a key with more is told by its size alone.
const MAX_SHOWN: usize = 16;

/// The members of a map's key in words: `struct key: u32 device, u8 operation, 3 bytes of padding`.
pub(super) fn describe(context: &Context<'_>, map: &MapInfo) -> Option<String> {
    let layout = key_layout(context, map)?;
    let mut parts: Vec<(usize, String)> = layout
        .members
        .iter()
        .map(|member| (member.offset, format!("{} {} ({})", member.type_name, member.path, member.size)))
        .collect();
    parts.extend(layout.gaps().into_iter().map(|gap| (gap.start, format!("padding ({})", gap.len()))));
    if parts.len() > MAX_SHOWN {
        return None;
    }
    parts.sort_by_key(|(offset, _)| *offset);
    let parts: Vec<String> = parts.into_iter().map(|(_, part)| part).collect();
    Some(format!("{}: {}", layout.type_name, parts.join(", ")))
}

/// Warns of labels that begin or end inside a number of the key's struct.
pub(super) fn cuts(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &MapInfo,
    sources: &[LabelSource],
) {
    let Some(layout) = key_layout(context, map) else { return };
    for (label, source) in raw.labels.iter().zip(sources) {
        let LabelSource::Key { offset, size } = *source else { continue };
        let Some(cut) = layout.cut_at(offset).or_else(|| layout.cut_at(offset + size)) else { continue };
        let spot = label.size.as_ref().map_or(&label.spot, |size| &size.spot);
        let name = label.name.as_ref().map_or("", |name| &name.value);
        let message = format!("the label `{name}` cuts the key's member `{}` in two", cut.path);
        sink.report(
            spot,
            Problem::warning("cut-member", Place::default(), message)
                .expected(format!("labels that end where members do: `{}` has {} bytes", cut.path, cut.size))
                .found(format!("the label has the bytes {offset} to {}", offset + size - 1))
                .help("compare sizes and paddings with the key's struct"),
        );
    }
}

/// The key's members, when it is a struct: a single number may be packed and cut on purpose.
fn key_layout(context: &Context<'_>, map: &MapInfo) -> Option<Layout> {
    let layout = context.object.btf.layout(map.key_type?).ok()?;
    let whole = layout.size == map.key_size as usize;
    (whole && layout.members.iter().all(|member| !member.path.is_empty())).then_some(layout)
}
