//! A layout as C-like text with offsets, for messages.

use std::fmt::{Display, Formatter, Result};

use super::{Layout, Member};

/// Lines that a message shows of a large struct.
const MAX_LINES: usize = 48;

impl Display for Layout {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        if let [only] = self.members.as_slice()
            && only.path.is_empty()
        {
            return write!(out, "{} /* {} */", self.type_name, bytes(self.size));
        }
        writeln!(out, "{} {{ /* {} */", self.type_name, bytes(self.size))?;
        let lines = self.lines();
        for line in lines.iter().take(MAX_LINES) {
            writeln!(out, "    {line}")?;
        }
        if let Some(more) = lines.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            writeln!(out, "    /* and {more} more */")?;
        }
        out.write_str("}")
    }
}

impl Layout {
    /// Members and gaps, in the order of their bytes; members of a union in their own.
    fn lines(&self) -> Vec<String> {
        let members = self.members.iter().map(|member| (member.offset, member_line(member)));
        let gaps = self
            .gaps()
            .into_iter()
            .map(|gap| (gap.start, format!("/* offset {}, {} of padding */", gap.start, bytes(gap.len()))));
        let mut lines: Vec<(usize, String)> = members.chain(gaps).collect();
        // Members that begin at one place, as in a union, stay in their order.
        lines.sort_by_key(|(offset, _)| *offset);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl Member {
    /// How C declares it, such as `char comm[16]` or `u32 flags : 3`.
    #[must_use]
    pub fn declaration(&self) -> String {
        let declaration = declaration(&self.type_name, &self.path);
        match self.bits {
            Some(bits) => format!("{declaration} : {}", bits.width),
            None => declaration,
        }
    }
}

fn member_line(member: &Member) -> String {
    let declaration = declaration(&member.type_name, &member.path);
    match member.bits {
        Some(bits) => {
            let (first, last) = (bits.shift, (bits.shift + bits.width).saturating_sub(1));
            let width = bits.width;
            format!("{declaration} : {width}; /* offset {}, bits {first} to {last} */", member.offset)
        }
        None => format!("{declaration}; /* offset {}, {} */", member.offset, bytes(member.size)),
    }
}

/// `char[16]` and `comm` become `char comm[16]`.
#[must_use]
pub fn declaration(type_name: &str, path: &str) -> String {
    let (base, dimensions) = type_name.split_at(type_name.find('[').unwrap_or(type_name.len()));
    // Behind the dimensions of a pointer to an array stands its star: not for splitting.
    if dimensions.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'[' | b']')) {
        return format!("{}{path}{dimensions}", spaced(base));
    }
    format!("{}{path}", spaced(type_name))
}

fn spaced(type_name: &str) -> String {
    if type_name.ends_with('*') { type_name.to_owned() } else { format!("{type_name} ") }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
