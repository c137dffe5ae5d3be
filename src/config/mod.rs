//! YAML to spec: raw types, positions, checks.

mod yaml;
