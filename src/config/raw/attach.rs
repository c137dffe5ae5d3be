//! What a file says about where a program is attached: `programs.<name>.attach`.
//!
//! The options of all kinds are read alike, by the shapes of their keys; what they mean is for
//! `check/attach` to say, which knows the program.

use super::Found;
use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::reader::{Reader, spot};
use crate::config::findings::Spot;
use crate::config::yaml::{Kind, Node};

/// The kinds.
pub(super) const ATTACH: Keys = Keys {
    what: "`attach`",
    example: "{cgroup: {path: /system.slice}}",
    known: &[&[
        Key::new("cgroup", Shape::Mapping(&CGROUP), "Cgroups of the cgroup2 hierarchy"),
        Key::new("xdp", Shape::Mapping(&XDP), "Network interfaces, before the kernel looks at a packet"),
        Key::new("tc", Shape::Mapping(&TC), "Network interfaces, in the kernel's network stack"),
        Key::new("netkit", Shape::Mapping(&NETKIT), "Network interfaces of the kind netkit"),
        Key::new("perf_event", Shape::Mapping(&PERF_EVENT), "A performance event on every CPU"),
        Key::new("uprobe", Shape::Mapping(&UPROBE), "A function in programs and libraries of user space"),
        Key::new("usdt", Shape::Mapping(&USDT), "A probe that programs and libraries have themselves"),
        Key::new("kprobe", Shape::Mapping(&KPROBE), "A function of the kernel"),
        Key::new("tracepoint", Shape::Mapping(&TRACEPOINT), "A tracepoint of the kernel"),
        Key::new("function", Shape::Mapping(&FUNCTION), "A function of the kernel or LSM hook, by its BTF"),
        Key::new("netns", Shape::Mapping(&NETNS), "Network namespaces"),
        Key::new("netfilter", Shape::Mapping(&NETFILTER), "A hook of netfilter"),
        Key::new("socket", Shape::Mapping(&SOCKET), "Packets of network interfaces, by sockets"),
        Key::new("sockmap", Shape::Mapping(&SOCKMAP), "Sockets of a map"),
    ]],
    later: &[],
};

const INTERFACE: Key = Key::new("interface", Shape::TextOrTexts, "Their names, with *, or all");

const XDP: Keys = Keys {
    what: "`xdp`",
    example: "{interface: eth0}",
    known: &[&[INTERFACE, Key::new("mode", Shape::Choice(modes), "Where in the path of a packet it is")]],
    later: &[],
};

fn modes() -> Vec<(&'static str, &'static str)> {
    vec![
        ("auto", "In the driver where it can do that, else in the network stack"),
        ("native", "In the driver"),
        ("generic", "In the network stack"),
    ]
}

const DIRECTION: Key =
    Key::new("direction", Shape::Choice(directions), "Which packets, when the section does not say it");

const TC: Keys = Keys {
    what: "`tc`",
    example: "{interface: eth0, direction: ingress}",
    known: &[&[
        INTERFACE,
        DIRECTION,
        Key::new("mode", Shape::Choice(tc_modes), "By what the interface is given the program"),
    ]],
    later: &[],
};

fn tc_modes() -> Vec<(&'static str, &'static str)> {
    vec![
        ("auto", "A tcx link where the kernel has them, else a filter"),
        ("tcx", "A tcx link"),
        ("classic", "A filter of a clsact qdisc"),
    ]
}

const NETKIT: Keys =
    Keys { what: "`netkit`", example: "{interface: nk0}", known: &[&[INTERFACE]], later: &[] };

const PERF_EVENT: Keys = Keys {
    what: "`perf_event`",
    example: "{event: cpu-clock, frequency: 99}",
    known: &[&[
        Key::new("event", Shape::Text, "Its name as `perf list` shows it"),
        Key::new("type", Shape::Integer, "The kernel's number of its type, in place of a name"),
        Key::new("config", Shape::Integer, "Which one of that type"),
        Key::new("frequency", Shape::Integer, "The program runs so many times in a second"),
        Key::new("period", Shape::Integer, "The program runs once for so many events"),
    ]],
    later: &[],
};

const CGROUP: Keys = Keys {
    what: "`cgroup`",
    example: "{path: /system.slice}",
    known: &[&[
        Key::new("path", Shape::TextOrTexts, "Their paths from the hierarchy's root on, with * and **"),
        DIRECTION,
    ]],
    later: &[],
};

fn directions() -> Vec<(&'static str, &'static str)> {
    vec![("ingress", "Packets that come in"), ("egress", "Packets that go out")]
}

const BINARY: Key =
    Key::new("binary", Shape::TextOrTexts, "Paths with *, or names of programs and libraries");
const ROOT: Key = Key::new("root", Shape::TextOrTexts, "Folders that they are below, such as /proc/*/root");
const PID: Key = Key::new("pid", Shape::Integer, "The one process that is meant");

const UPROBE: Keys = Keys {
    what: "`uprobe`",
    example: "{binary: libc.so.6, function: malloc}",
    known: &[&[
        BINARY,
        ROOT,
        PID,
        Key::new("function", Shape::Text, "Its name; of uprobe.multi a pattern"),
        Key::new("offset", Shape::Size, "Bytes from its beginning on, or from the file's"),
    ]],
    later: &[],
};

const USDT: Keys = Keys {
    what: "`usdt`",
    example: "{binary: /usr/bin/python3, provider: python, probe: gc__start}",
    known: &[&[
        BINARY,
        ROOT,
        PID,
        Key::new("provider", Shape::Text, "Whose probe it is"),
        Key::new("probe", Shape::Text, "Its name"),
    ]],
    later: &[],
};

const KPROBE: Keys = Keys {
    what: "`kprobe`",
    example: "{function: tcp_v4_connect}",
    known: &[&[Key::new("function", Shape::Text, "Its name, or a pattern; of ksyscall a system call")]],
    later: &[],
};

const TRACEPOINT: Keys = Keys {
    what: "`tracepoint`",
    example: "{name: sched/sched_switch}",
    known: &[&[Key::new("name", Shape::Text, "Its name, in tracefs with its category")]],
    later: &[],
};

const FUNCTION: Keys = Keys {
    what: "`function`",
    example: "{name: do_unlinkat}",
    known: &[&[Key::new("name", Shape::Text, "Its name in the kernel's BTF")]],
    later: &[],
};

const NETNS: Keys = Keys {
    what: "`netns`",
    example: "{path: /run/netns/*}",
    known: &[&[Key::new("path", Shape::TextOrTexts, "Files that stand for them, with *")]],
    later: &[],
};

const NETFILTER: Keys = Keys {
    what: "`netfilter`",
    example: "{family: ipv4, hook: input}",
    known: &[&[
        Key::new("family", Shape::Choice(families), "Which packets"),
        Key::new("hook", Shape::Choice(hooks), "Where on their way"),
        Key::new("priority", Shape::Integer, "Lower numbers come first"),
    ]],
    later: &[],
};

fn families() -> Vec<(&'static str, &'static str)> {
    vec![("ipv4", "Packets of IPv4"), ("ipv6", "Packets of IPv6")]
}

fn hooks() -> Vec<(&'static str, &'static str)> {
    vec![
        ("prerouting", "All that come in"),
        ("input", "Those for this machine"),
        ("forward", "Those for others"),
        ("output", "Those of this machine"),
        ("postrouting", "All that go out"),
    ]
}

const SOCKET: Keys =
    Keys { what: "`socket`", example: "{interface: eth0}", known: &[&[INTERFACE]], later: &[] };

const SOCKMAP: Keys = Keys {
    what: "`sockmap`",
    example: "{map: sockets}",
    known: &[&[Key::new("map", Shape::Text, "The sockmap or sockhash of the object that holds the sockets")]],
    later: &[],
};

/// Where a program is attached.
#[derive(Debug)]
pub(crate) struct RawAttach {
    pub(crate) spot: Spot,
    pub(crate) kinds: Vec<RawKind>,
    /// Whether reading it found an error.
    pub(crate) broken: bool,
}

/// One kind of place.
#[derive(Debug)]
pub(crate) struct RawKind {
    pub(crate) name: Found<&'static str>,
    pub(crate) options: Vec<RawOption>,
}

/// An option that was written and could be read.
#[derive(Debug)]
pub(crate) struct RawOption {
    pub(crate) name: &'static str,
    pub(crate) value: OptionValue,
    pub(crate) spot: Spot,
}

#[derive(Debug)]
pub(crate) enum OptionValue {
    Texts(Vec<Found<String>>),
    Text(Found<String>),
    Integer(Found<i64>),
}

impl RawKind {
    fn option(&self, name: &str) -> Option<&RawOption> {
        self.options.iter().rev().find(|option| option.name == name)
    }

    /// One text.
    pub(crate) fn text(&self, name: &str) -> Option<&Found<String>> {
        match &self.option(name)?.value {
            OptionValue::Text(found) => Some(found),
            OptionValue::Texts(_) | OptionValue::Integer(_) => None,
        }
    }

    /// A number.
    pub(crate) fn integer(&self, name: &str) -> Option<&Found<i64>> {
        match &self.option(name)?.value {
            OptionValue::Integer(found) => Some(found),
            OptionValue::Texts(_) | OptionValue::Text(_) => None,
        }
    }

    /// Texts of which there may be several.
    pub(crate) fn texts(&self, name: &str) -> &[Found<String>] {
        match self.option(name).map(|option| &option.value) {
            Some(OptionValue::Texts(found)) => found,
            Some(OptionValue::Text(_) | OptionValue::Integer(_)) | None => &[],
        }
    }

    /// Where an option stands, or the kind when it was not written.
    pub(crate) fn spot(&self, name: &str) -> &Spot {
        self.option(name).map_or(&self.name.spot, |option| &option.spot)
    }
}

/// Texts of which a config has no more.
const MOST_TEXTS: usize = 256;

pub(super) fn attach(reader: &mut Reader, node: &Node, path: &str) -> RawAttach {
    let mark = reader.mark();
    let mut kinds: Vec<RawKind> = Vec::new();
    for field in reader.fields(node, path, &ATTACH) {
        let Some(key) = ATTACH.all().find(|key| key.name == field.name) else { continue };
        let Shape::Mapping(keys) = key.shape else { continue };
        let path = join(path, key.name);
        let name = Found { value: key.name, spot: spot(field.key, &path) };
        let mut options = Vec::new();
        for option in reader.fields(field.value, &path, keys) {
            let Some(key) = keys.all().find(|key| key.name == option.name) else { continue };
            let path = join(&path, key.name);
            let value = value(reader, option.value, &path, &key.shape);
            // Null is "not given".
            let value = value.filter(|_| !option.value.is_null());
            options.extend(value.map(|value| RawOption {
                name: key.name,
                value,
                spot: spot(option.key, &path),
            }));
        }
        kinds.retain(|kind| kind.name.value != name.value);
        kinds.push(RawKind { name, options });
    }
    RawAttach { spot: spot(node, path), kinds, broken: reader.mark().1 > mark.1 }
}

fn value(reader: &mut Reader, node: &Node, path: &str, shape: &Shape) -> Option<OptionValue> {
    match shape {
        Shape::TextOrTexts => Some(OptionValue::Texts(match &node.kind {
            Kind::Sequence(_) => {
                let items = reader.list_of(node, path, "texts", MOST_TEXTS).iter().enumerate();
                items.filter_map(|(index, item)| reader.text(item, &format!("{path}[{index}]"))).collect()
            }
            Kind::Scalar(_) | Kind::Mapping(_) => reader.text(node, path).into_iter().collect(),
        })),
        Shape::Integer => reader.integer(node, path).map(OptionValue::Integer),
        Shape::Size => reader.size(node, path).map(|found| {
            let value = i64::try_from(found.value).unwrap_or(i64::MAX);
            OptionValue::Integer(Found { value, spot: found.spot })
        }),
        _ => reader.text(node, path).map(OptionValue::Text),
    }
}
