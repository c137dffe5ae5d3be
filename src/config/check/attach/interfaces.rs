//! Network interfaces: `attach: {xdp: ...}` and its kin.

use super::{Subject, agrees, choice, direction, missing, texts};
use crate::config::check::Sink;
use crate::host::Pattern;
use crate::problem::{Place, Problem};
use crate::spec::{Direction, Tc, TcMode, Xdp, XdpMode};

/// The kernel's names have fewer bytes than this.
const NAME_BYTES: usize = 16;

pub(super) fn xdp(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Xdp> {
    let modes = [("auto", XdpMode::Auto), ("native", XdpMode::Native), ("generic", XdpMode::Generic)];
    let mode = choice(sink, subject, "mode", &modes);
    let interfaces = interfaces(sink, subject);
    Some(Xdp { interfaces: interfaces?, mode: mode.ok()?.unwrap_or(XdpMode::Auto) })
}

pub(super) fn tc(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Tc> {
    let modes = [("auto", TcMode::Auto), ("tcx", TcMode::Tcx), ("classic", TcMode::Classic)];
    let mode = choice(sink, subject, "mode", &modes);
    let direction = way(sink, subject);
    let interfaces = interfaces(sink, subject);
    Some(Tc { interfaces: interfaces?, direction: direction?, mode: mode.ok()?.unwrap_or(TcMode::Auto) })
}

/// The direction of the section, or the config's where the section leaves it open.
fn way(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Direction> {
    let found = direction(sink, subject).ok()?;
    match subject.section?.attach_type {
        Some("tcx_ingress") => agrees(sink, subject, Direction::Ingress, found),
        Some("tcx_egress") => agrees(sink, subject, Direction::Egress, found),
        _ => {
            if found.is_none() {
                missing(sink, subject, "direction", "ingress or egress: its section does not say it");
            }
            found
        }
    }
}

/// Names, with `*` and `?`; `all` is all.
pub(super) fn interfaces(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Vec<Pattern>> {
    let expected = "names of network interfaces, with * for any letters, or all";
    let names = texts(sink, subject, "interface", expected)?;
    let (mut patterns, mut is_good) = (Vec::new(), true);
    for name in names {
        let pattern = if name.value == "all" { Pattern::new("*") } else { Pattern::new(&name.value) };
        let is_possible = name.value.len() < NAME_BYTES
            && !name.value.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
        if pattern.is_exact() && !is_possible {
            let message = "no network interface has this name".to_owned();
            let problem = Problem::error("attach-option", Place::default(), message);
            let expected = "fewer than 16 letters, without blanks, `/` and `:`";
            sink.report(&name.spot, problem.expected(expected).found(&name.value));
            is_good = false;
        }
        patterns.push(pattern);
    }
    is_good.then_some(patterns)
}
