//! Options of the kernel's configuration that an object wants to know.

/// An option that programs read (`extern ... CONFIG_HZ __kconfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelOption {
    /// Its name, such as `CONFIG_HZ`.
    pub name: String,
    /// What the object takes it for.
    pub kind: OptionKind,
    /// Whether the object can do without it: then it is zero.
    pub is_weak: bool,
    /// What it is by the config, as the kernel's configuration would write it: `y`, `250`, `"text"`.
    pub given: Option<String>,
}

/// What an object takes an option for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// `bool`: yes or no.
    Boolean,
    /// `enum libbpf_tristate`: yes, no, or as a module.
    Tristate,
    /// `char`: one of these letters, or a number.
    Character,
    /// A number.
    Integer,
    /// `char[N]`.
    Text,
}

impl OptionKind {
    /// What an option is that the kernel's configuration does not set.
    #[must_use]
    pub fn unset(self) -> &'static str {
        match self {
            Self::Boolean | Self::Tristate => "n",
            Self::Character | Self::Integer => "0",
            Self::Text => "\"\"",
        }
    }
}
