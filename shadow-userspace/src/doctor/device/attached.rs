//! What is attached to a device already: XDP programs, TCX programs, filters of clsact.

use std::io;

use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};

use crate::{
    capture::{CaptureError, EXPORT, Kernel, TAG, TAG_SKB, has_clsact},
    doctor::Check,
    netlink::{
        link::{Link, OFFLOADED, XdpId},
        tc::{self, Filter},
    },
};

/// The two directions, in words and as they are asked for.
const SIDES: [(&str, TcAttachType); 2] =
    [("ingress", TcAttachType::Ingress), ("egress", TcAttachType::Egress)];

/// What is attached to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Attached {
    /// XDP programs with where they run and, where it can be read, their name.
    pub(in crate::doctor) xdp: Vec<(XdpId, Option<String>)>,
    /// TCX programs, `ingress 60 name`, or why they can't be asked for.
    pub(in crate::doctor) tcx: Result<Vec<String>, String>,
    /// Filters of clsact, `egress bpf 61 name`; `None` if the kernel doesn't answer.
    pub(in crate::doctor) filters: Option<Vec<String>>,
    /// The older qdisc has the place of the clsact one that filters of both directions need.
    pub(in crate::doctor) ingress_qdisc: bool,
}

impl Attached {
    /// Looks at a device.
    pub(in crate::doctor) fn on(link: &Link, kernel: &Kernel) -> Self {
        let names = if link.xdp.is_empty() { Vec::new() } else { names() };
        let name_of = |id| names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.clone());
        let qdisc = has_clsact(&link.name, link.index);
        Self {
            xdp: link.xdp.iter().map(|&xdp| (xdp, name_of(xdp.id))).collect(),
            tcx: if kernel.has_tcx() { tcx(&link.name) } else { Ok(Vec::new()) },
            filters: filters(link.index),
            ingress_qdisc: matches!(qdisc, Err(CaptureError::IngressQdisc { .. })),
        }
    }

    /// The XDP program that keeps ours from the device: only one fits.
    pub(in crate::doctor) fn xdp_taken(&self) -> Option<String> {
        // One that runs in the device itself leaves the driver free.
        let taken = self.xdp.iter().find(|(xdp, _)| xdp.mode != OFFLOADED);
        taken.map(|(xdp, name)| xdp_words(*xdp, name.as_deref()))
    }

    /// The line that names it all.
    pub(in crate::doctor) fn check(&self, interface: &str) -> Check {
        let name = format!("{interface} attached");
        let mut all: Vec<String> =
            self.xdp.iter().map(|(xdp, name)| xdp_words(*xdp, name.as_deref())).collect();
        match &self.tcx {
            Ok(programs) => all.extend(programs.iter().map(|program| format!("TCX {program}"))),
            Err(reason) => all.push(format!("TCX unknown ({reason})")),
        }
        match &self.filters {
            Some(filters) => all.extend(filters.iter().map(|filter| format!("TC filter {filter}"))),
            None => all.push("TC filters unknown".to_owned()),
        }
        if self.ingress_qdisc {
            all.push("an ingress qdisc".to_owned());
        }
        let found = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        let foreign = self
            .xdp
            .iter()
            .any(|(_, name)| name.as_deref().is_none_or(|name| ![TAG, TAG_SKB].contains(&name)));
        if foreign {
            let advice = "packets that the XDP program drops, redirects or answers never reach shadow; those that it \
                          passes do";
            return Check::warning(name, found, advice);
        }
        Check::ok(name, found)
    }
}

fn xdp_words(xdp: XdpId, name: Option<&str>) -> String {
    format!("XDP {} {}", xdp.mode, described(xdp.id, name))
}

/// A program by id and name; ours are said to be.
fn described(id: u32, name: Option<&str>) -> String {
    match name {
        Some(name) if [EXPORT, TAG, TAG_SKB].contains(&name) => {
            format!("{id} {name} (a shadow-agent's)")
        }
        Some(name) if !name.is_empty() => format!("{id} {name}"),
        _ => id.to_string(),
    }
}

/// The names of all loaded programs; none without CAP_SYS_ADMIN.
fn names() -> Vec<(u32, String)> {
    let programs = loaded_programs().filter_map(Result::ok);
    programs.map(|program| (program.id(), name(&program))).collect()
}

fn name(program: &ProgramInfo) -> String {
    String::from_utf8_lossy(program.name()).into_owned()
}

fn tcx(interface: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (words, side) in SIDES {
        let (_, programs) = SchedClassifier::query_tcx(interface, side).map_err(|error| no_tcx(&error))?;
        let words_of =
            |program: &ProgramInfo| format!("{words} {}", described(program.id(), Some(&name(program))));
        found.extend(programs.iter().map(words_of));
    }
    Ok(found)
}

fn no_tcx(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(error) => match error.io_error.kind() {
            io::ErrorKind::PermissionDenied => "needs CAP_NET_ADMIN, and CAP_SYS_ADMIN for names".to_owned(),
            _ => error.io_error.to_string(),
        },
        other => other.to_string(),
    }
}

fn filters(index: u32) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for (words, side) in SIDES {
        let filters = tc::filters(index, side).ok()?;
        let filters = filters.iter().filter(|filter| !filter.is_head());
        found.extend(filters.map(|filter| format!("{words} {}", filter_words(filter))));
    }
    Some(found)
}

/// `bpf 61 name`, or the kind of another filter.
fn filter_words(filter: &Filter) -> String {
    let kind = filter.kind.as_deref().unwrap_or("unknown");
    match filter.program {
        Some(id) => format!("{kind} {}", described(id, filter.name.as_deref())),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Attached {
        Attached { xdp: Vec::new(), tcx: Ok(Vec::new()), filters: Some(Vec::new()), ingress_qdisc: false }
    }

    fn attached(xdp: &[(&'static str, u32, Option<&str>)]) -> Attached {
        let xdp = xdp.iter().map(|&(mode, id, name)| (XdpId { mode, id }, name.map(str::to_owned)));
        Attached { xdp: xdp.collect(), ..nothing() }
    }

    #[test]
    fn everything_is_named() {
        assert_eq!(attached(&[]).check("eth0"), Check::ok("eth0 attached", "nothing"));
        let mut full = attached(&[("native", 57, Some("dispatcher"))]);
        full.tcx = Ok(vec!["ingress 60 cil_from_netdev".to_owned()]);
        full.filters = Some(vec!["egress bpf 61 old".to_owned()]);
        let check = full.check("eth0");
        assert_eq!(
            check.found,
            "XDP native 57 dispatcher, TCX ingress 60 cil_from_netdev, TC filter egress bpf 61 old"
        );
        let qdisc = Attached { ingress_qdisc: true, ..nothing() };
        assert_eq!(qdisc.check("eth0"), Check::ok("eth0 attached", "an ingress qdisc"));
        assert_eq!(check.verdict.status(), "warning");
    }

    #[test]
    fn only_foreign_xdp_programs_are_a_warning() {
        for (name, status) in [(Some(TAG), "ok"), (Some("other"), "warning"), (None, "warning")] {
            assert_eq!(attached(&[("generic", 3, name)]).check("a").verdict.status(), status, "{name:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let unknown = Attached { tcx: Err("no rights".to_owned()), filters: None, ..nothing() };
        assert_eq!(unknown.check("a").found, "TCX unknown (no rights), TC filters unknown");
    }

    #[test]
    fn missing_rights_are_named() {
        use nix::libc::{ENODEV, EPERM};

        let answer = |errno| {
            let io_error = io::Error::from_raw_os_error(errno);
            no_tcx(&ProgramError::SyscallError(aya::sys::SyscallError { call: "bpf_prog_query", io_error }))
        };
        assert!(answer(EPERM).contains("CAP_NET_ADMIN"));
        assert!(answer(ENODEV).contains("No such device"));
    }

    #[test]
    fn a_program_in_the_device_leaves_the_driver_free() {
        assert_eq!(attached(&[(OFFLOADED, 3, None)]).xdp_taken(), None);
        let both = attached(&[(OFFLOADED, 3, None), ("native", 4, Some("a"))]);
        assert_eq!(both.xdp_taken().as_deref(), Some("XDP native 4 a"));
    }

    #[test]
    fn filters_are_named_by_their_kind_and_program() {
        let kind = |kind: &str| Filter { kind: Some(kind.to_owned()), ..Filter::default() };
        let ours = Filter { program: Some(61), name: Some(EXPORT.to_owned()), ..kind("bpf") };
        assert_eq!(filter_words(&ours), "bpf 61 shadow_export (a shadow-agent's)");
        assert_eq!(filter_words(&kind("flower")), "flower");
        assert_eq!(filter_words(&Filter::default()), "unknown");
    }
}
