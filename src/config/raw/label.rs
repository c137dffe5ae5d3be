//! One label: by position, by name, or its name alone.

use super::decoder::{self, decoder};
use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::reader::spot;
use super::{RawLabel, Reader};
use crate::config::yaml::{Kind, Node};

/// Labels of a metric: Prometheus itself gets slow with some dozens.
const MAX_LABELS: usize = 1000;

/// Decoders of a label: the longest useful chains have three.
const MAX_DECODERS: usize = 100;

pub(super) const KEYS: Keys = Keys {
    what: "a label",
    example: "{name: cpu, size: 4, decoders: [{name: uint}]}",
    known: &[&[
        Key::required("name", Shape::Text, "The label's name"),
        Key::new("size", Shape::Size, "By position: how many bytes of the key it is"),
        Key::new("padding", Shape::Size, "By position: how many bytes behind it belong to no label"),
        Key::new("field", Shape::Text, "By name: the member of the key, when it is not the label's name"),
        Key::new(
            "outer",
            Shape::Boolean,
            "By name, of a map of maps: whether the key is the one that the map is found by",
        ),
        Key::new(
            "decoders",
            Shape::List(&Shape::TextOr(&decoder::KEYS)),
            "What makes text of the bytes, one after the other",
        ),
    ]],
    later: &[],
};

pub(super) fn labels(reader: &mut Reader, node: &Node, path: &str) -> Vec<RawLabel> {
    let items = reader.list_of(node, path, "labels", MAX_LABELS);
    items.iter().enumerate().map(|(index, item)| label(reader, item, &format!("{path}[{index}]"))).collect()
}

fn label(reader: &mut Reader, node: &Node, path: &str) -> RawLabel {
    let mark = reader.mark();
    let mut raw = RawLabel {
        spot: spot(node, path),
        name: None,
        size: None,
        padding: None,
        field: None,
        outer: None,
        decoders: Vec::new(),
        gives_size: false,
        gives_field: false,
        broken: false,
    };
    if let Kind::Scalar(scalar) = &node.kind
        && !scalar.is_null()
    {
        raw.name = reader.text(node, path);
        raw.gives_field = true;
        return raw;
    }
    for field in reader.fields(node, path, &KEYS) {
        let path = join(path, field.name);
        raw.gives_size |= matches!(field.name, "size" | "padding");
        raw.gives_field |= matches!(field.name, "field" | "outer");
        match field.name {
            "name" => raw.name = reader.text(field.value, &path).or(raw.name.take()),
            "size" => raw.size = reader.size(field.value, &path).or(raw.size.take()),
            "padding" => raw.padding = reader.size(field.value, &path).or(raw.padding.take()),
            "outer" => raw.outer = reader.boolean(field.value, &path).or(raw.outer.take()),
            "field" if field.value.is_null() => raw.field = None,
            "field" => raw.field = reader.text(field.value, &path).or(raw.field.take()),
            "decoders" => {
                let items = reader.list_of(field.value, &path, "decoders", MAX_DECODERS);
                raw.decoders = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| decoder(reader, item, &format!("{path}[{index}]")))
                    .collect();
            }
            _ => {}
        }
    }
    raw.broken = reader.mark().1 > mark.1;
    raw
}
