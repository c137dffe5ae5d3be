//! Maps as BTF tells them: each is a variable whose struct's members are the
//! definition, numbers written as the length of an array behind a pointer.

use std::collections::HashMap;

use super::file::File;
use super::{ElfError, MapInfo, MapKind};
use crate::btf::{Btf, BtfError, Field, Kind, Type, TypeId};

/// Maps of an object: each is a file descriptor of the process that loads it.
const MAX_MAPS: usize = 4096;

/// Maps of `usdt.bpf.h`: libbpf writes there where the arguments of an object's probes are, numbered anew for each
/// object. Programs of another object would read the wrong ones, and before Linux 5.15 libbpf finds them taken.
pub const MAPS_OF_USDT: &[&str] = &["__bpf_usdt_specs", "__bpf_usdt_ip_to_spec_id"];

/// What clang does with structs that only an inner map's definition names.
const FORGOTTEN: &str =
    " (clang leaves out members of a struct that only inner maps use: declare a variable of it)";

/// Maps in the order of the section `.maps`.
pub(super) fn maps(file: &File<'_>, btf: &Btf) -> Result<Vec<MapInfo>, ElfError> {
    let Some(section) = file.section(".maps") else { return Ok(Vec::new()) };
    let missing = || ElfError::Malformed("its BTF does not describe the section `.maps`".to_owned());
    let described = btf.find(".maps", Kind::DataSec).ok_or_else(missing)?;
    let symbols = file.symbols.iter().filter(|symbol| symbol.is_variable && !symbol.is_local);
    let places: HashMap<&str, u64> = symbols.map(|symbol| (symbol.name, symbol.value)).collect();
    let mut found = Vec::new();
    for entry in btf.type_by_id(described).map_err(ElfError::BadBtf)?.variables() {
        let variable = btf.type_by_id(entry.variable).map_err(ElfError::BadBtf)?;
        let place = places.get(variable.name()).copied().unwrap_or(entry.offset.into());
        if place.saturating_add(entry.size.into()) > section.size {
            return Err(refused(variable.name(), "it lies outside of the section `.maps`"));
        }
        if found.len() >= MAX_MAPS {
            return Err(ElfError::Malformed(format!("it has more than {MAX_MAPS} maps")));
        }
        found.push((place, map(btf, &variable, entry.size)?));
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, map)| map).collect())
}

fn map(btf: &Btf, variable: &Type<'_>, size: u32) -> Result<MapInfo, ElfError> {
    let name = variable.name();
    if variable.kind() != Kind::Var || name.is_empty() {
        return Err(ElfError::Malformed(format!("its section `.maps` holds a {}", variable.kind())));
    }
    if variable.linkage() != 1 {
        return Err(refused(name, "it is static, and libbpf takes global maps only: remove `static`"));
    }
    let definition = btf.resolve(variable.target()).map_err(ElfError::BadBtf)?;
    if definition.kind() != Kind::Struct {
        return Err(refused(name, format!("it is a {} instead of a struct", definition.kind())));
    }
    if definition.stated_size() > usize::try_from(size).ok() {
        return Err(refused(name, "its definition is larger than its variable"));
    }
    Definition { btf, inner: false, map: MapInfo { name: name.to_owned(), ..MapInfo::default() } }
        .read(&definition)
}

fn refused(map: &str, reason: impl Into<String>) -> ElfError {
    ElfError::Map { map: map.to_owned(), reason: reason.into() }
}

/// A definition while it is read.
struct Definition<'a> {
    btf: &'a Btf,
    inner: bool,
    map: MapInfo,
}

impl Definition<'_> {
    fn read(mut self, definition: &Type<'_>) -> Result<MapInfo, ElfError> {
        let mut fields = definition.fields().peekable();
        while let Some(field) = fields.next() {
            self.field(&field, fields.peek().is_none())?;
        }
        if self.map.kind == MapKind(0) {
            return Err(self.refuse("it says no `__uint(type, …)`"));
        }
        Ok(self.map)
    }

    fn field(&mut self, field: &Field<'_>, last: bool) -> Result<(), ElfError> {
        match field.name {
            "type" => self.map.kind = MapKind(self.number(field)?),
            "max_entries" => self.map.max_entries = self.number(field)?,
            "map_flags" => self.map.flags = self.number(field)?,
            "numa_node" => self.map.numa_node = Some(self.number(field)?),
            "map_extra" => self.map.map_extra = self.long(field)?,
            "key_size" => self.map.key_size = self.agreed("key", self.map.key_size, self.number(field)?)?,
            "value_size" => {
                self.map.value_size = self.agreed("value", self.map.value_size, self.number(field)?)?;
            }
            "key" => {
                let (type_id, size) = self.typed(field)?;
                self.map.key_size = self.agreed("key", self.map.key_size, size)?;
                self.map.key_type = Some(type_id);
            }
            "value" => {
                let (type_id, size) = self.typed(field)?;
                self.map.value_size = self.agreed("value", self.map.value_size, size)?;
                self.map.value_type = Some(type_id);
            }
            "values" => self.values(field, last)?,
            "pinning" => self.map.pinned = self.pinning(field)?,
            other => return Err(self.refuse(format!("libbpf does not know its member `{other}`"))),
        }
        Ok(())
    }

    /// `__uint(name, number)`
    fn number(&self, field: &Field<'_>) -> Result<u32, ElfError> {
        let pointer = self.resolve(field.type_id)?;
        let array = self.btf.type_by_id(pointer.target()).map_err(ElfError::BadBtf)?;
        if pointer.kind() != Kind::Ptr || array.kind() != Kind::Array {
            return Err(
                self.refuse(format!("its member `{0}` is not written as `__uint({0}, …)`", field.name))
            );
        }
        Ok(array.element_count())
    }

    /// `__ulong(name, number)`, or `__uint`.
    fn long(&self, field: &Field<'_>) -> Result<u64, ElfError> {
        let found = self.resolve(field.type_id)?;
        if !found.kind().is_enum() {
            return self.number(field).map(u64::from);
        }
        let mut values = found.enumerators();
        let one = values.next().filter(|_| values.len() == 0);
        let value =
            one.ok_or_else(|| self.refuse(format!("its member `{}` is not one number", field.name)))?.value;
        // The two's complement of a negative number is what C hands over.
        Ok(value as u64)
    }

    /// `__type(name, type)`
    fn typed(&self, field: &Field<'_>) -> Result<(TypeId, u32), ElfError> {
        let pointer = self.btf.type_by_id(field.type_id).map_err(ElfError::BadBtf)?;
        if pointer.kind() != Kind::Ptr {
            return Err(
                self.refuse(format!("its member `{0}` is not written as `__type({0}, …)`", field.name))
            );
        }
        let type_id = pointer.target();
        let too_large = BtfError::TooLarge(type_id);
        let size = self.btf.size_of(type_id).and_then(|size| u32::try_from(size).map_err(|_| too_large));
        let size = size.map_err(|error| {
            let inner = if self.inner { FORGOTTEN } else { "" };
            self.refuse(format!(
                "the size of its {} `{}` is not known: {error}{inner}",
                field.name,
                self.btf.type_name(type_id)
            ))
        })?;
        Ok((type_id, size))
    }

    fn agreed(&self, what: &str, before: u32, now: u32) -> Result<u32, ElfError> {
        if before != 0 && before != now {
            return Err(self.refuse(format!("it gives two sizes for its {what}: {before} and {now} bytes")));
        }
        Ok(now)
    }

    /// `__array(values, inner map or program)`
    fn values(&mut self, field: &Field<'_>, last: bool) -> Result<(), ElfError> {
        let maps = self.map.kind.is_map_in_map();
        if self.inner {
            return Err(self.refuse("an inner map cannot hold maps itself"));
        }
        if !last {
            return Err(self.refuse("its member `values` is not the last one"));
        }
        if !maps && self.map.kind != MapKind::PROG_ARRAY {
            return Err(self.refuse(format!(
                "it has `values`, which are for array_of_maps, hash_of_maps and prog_array, but is a {}",
                self.map.kind
            )));
        }
        self.map.value_size = self.agreed("value", self.map.value_size, 4)?;
        let array = self.btf.type_by_id(field.type_id).map_err(ElfError::BadBtf)?;
        let pointer = self.resolve(array.target())?;
        if array.kind() != Kind::Array || array.element_count() != 0 || pointer.kind() != Kind::Ptr {
            return Err(self.refuse("its member `values` is not written as `__array(values, …)`"));
        }
        let element = self.resolve(pointer.target())?;
        match (maps, element.kind()) {
            (false, Kind::FuncProto) => Ok(()),
            (true, Kind::Struct) => {
                let map = MapInfo { name: format!("{}.inner", self.map.name), ..MapInfo::default() };
                let inner = Definition { btf: self.btf, inner: true, map }.read(&element)?;
                self.map.inner = Some(Box::new(inner));
                Ok(())
            }
            (_, kind) => Err(self.refuse(format!("its `values` are of a {kind}"))),
        }
    }

    fn pinning(&self, field: &Field<'_>) -> Result<bool, ElfError> {
        match self.number(field)? {
            _ if self.inner => Err(self.refuse("an inner map cannot be pinned")),
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.refuse(format!("its pinning is {other}, where LIBBPF_PIN_BY_NAME is 1"))),
        }
    }

    fn resolve(&self, id: TypeId) -> Result<Type<'_>, ElfError> {
        self.btf.resolve(id).map_err(ElfError::BadBtf)
    }

    fn refuse(&self, reason: impl Into<String>) -> ElfError {
        refused(&self.map.name, reason)
    }
}
