//! `proto`: the name of an IP protocol.

use super::{Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number::Numbers, text};

pub(super) const ENTRY: Entry = Entry {
    name: "proto",
    summary: "The name of an IP protocol by number, as /etc/protocols has it (`tcp`); `unknown:N` when it has none.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Proto {
    numbers: Numbers,
}

fn build(kind: Kind) -> Built {
    Ok((Box::new(Proto { numbers: Numbers::of("proto", kind)? }), Kind::Text))
}

impl Decode for Proto {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let number = self.numbers.read(value)?;
        match name(number) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => text::push_unknown(out, "unknown:", number),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.numbers.injective())
    }
}

fn name(number: i128) -> Option<&'static str> {
    let number = u16::try_from(number).ok()?;
    let index = PROTOCOLS.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    PROTOCOLS.get(index).map(|(_, name)| *name)
}

/// The official names of Debian's /etc/protocols, in lower case as `getprotobynumber` gives them;
/// a constant, so that a label does not depend on a file of the host.
const PROTOCOLS: &[(u16, &str)] = &[
    (0, "ip"),
    (1, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipencap"),
    (5, "st"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (12, "pup"),
    (17, "udp"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (33, "dccp"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (57, "skip"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (73, "rspf"),
    (81, "vmtp"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax.25"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (132, "sctp"),
    (133, "fc"),
    (135, "mobility-header"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
    (143, "ethernet"),
    (262, "mptcp"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_names_differ() {
        assert!(PROTOCOLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let names: std::collections::BTreeSet<_> = PROTOCOLS.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), PROTOCOLS.len());
    }
}
