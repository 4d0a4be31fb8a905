//! What is attached to a device already: XDP programs, TCX programs, filters of clsact.

use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};

use crate::{
    capture::{EXPORT, TAG, TAG_SKB},
    doctor::Check,
    netlink::{
        link::{Link, XdpId},
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
    /// TCX programs.
    pub(in crate::doctor) tcx: Tcx,
    /// Filters of clsact, `egress bpf 61 name`; `None` if the kernel doesn't answer.
    pub(in crate::doctor) filters: Option<Vec<String>>,
}

/// TCX on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Tcx {
    /// It is there, with these programs on it: `ingress 60 name`.
    Programs(Vec<String>),
    /// This kernel has none.
    Absent,
    /// It can't be asked for.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Attached {
    /// Looks at a device.
    pub(in crate::doctor) fn on(link: &Link) -> Self {
        let names = if link.xdp.is_empty() { Vec::new() } else { names() };
        let name_of = |id| names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.clone());
        Self {
            xdp: link.xdp.iter().map(|&xdp| (xdp, name_of(xdp.id))).collect(),
            tcx: tcx(&link.name),
            filters: filters(link.index),
        }
    }

    /// The XDP program that keeps ours from the device: only one fits.
    pub(in crate::doctor) fn xdp_taken(&self) -> Option<String> {
        self.xdp.first().map(|(xdp, name)| xdp_words(*xdp, name.as_deref()))
    }

    /// The line that names it all.
    pub(in crate::doctor) fn check(&self, interface: &str) -> Check {
        let name = format!("{interface} attached");
        let mut all: Vec<String> =
            self.xdp.iter().map(|(xdp, name)| xdp_words(*xdp, name.as_deref())).collect();
        match &self.tcx {
            Tcx::Programs(programs) => all.extend(programs.iter().map(|program| format!("TCX {program}"))),
            Tcx::Absent => {}
            Tcx::Unknown { reason } => all.push(format!("TCX unknown ({reason})")),
        }
        match &self.filters {
            Some(filters) => all.extend(filters.iter().map(|filter| format!("TC filter {filter}"))),
            None => all.push("TC filters unknown".to_owned()),
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

fn tcx(interface: &str) -> Tcx {
    let mut found = Vec::new();
    for (words, side) in SIDES {
        match SchedClassifier::query_tcx(interface, side) {
            Ok((_, programs)) => found.extend(
                programs
                    .iter()
                    .map(|program| format!("{words} {}", described(program.id(), Some(&name(program))))),
            ),
            Err(error) => return no_tcx(&error),
        }
    }
    Tcx::Programs(found)
}

fn no_tcx(error: &ProgramError) -> Tcx {
    use nix::libc::{EINVAL, EPERM};

    match error {
        ProgramError::SyscallError(error) => match error.io_error.raw_os_error() {
            Some(EINVAL) => Tcx::Absent,
            Some(EPERM) => {
                Tcx::Unknown { reason: "needs CAP_NET_ADMIN, and CAP_SYS_ADMIN for names".to_owned() }
            }
            _ => Tcx::Unknown { reason: error.io_error.to_string() },
        },
        other => Tcx::Unknown { reason: other.to_string() },
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

    fn attached(xdp: &[(&'static str, u32, Option<&str>)]) -> Attached {
        let xdp = xdp.iter().map(|&(mode, id, name)| (XdpId { mode, id }, name.map(str::to_owned)));
        Attached { xdp: xdp.collect(), tcx: Tcx::Programs(Vec::new()), filters: Some(Vec::new()) }
    }

    #[test]
    fn everything_is_named() {
        assert_eq!(attached(&[]).check("eth0"), Check::ok("eth0 attached", "nothing"));
        let mut full = attached(&[("native", 57, Some("dispatcher"))]);
        full.tcx = Tcx::Programs(vec!["ingress 60 cil_from_netdev".to_owned()]);
        full.filters = Some(vec!["egress bpf 61 old".to_owned()]);
        let check = full.check("eth0");
        assert_eq!(
            check.found,
            "XDP native 57 dispatcher, TCX ingress 60 cil_from_netdev, TC filter egress bpf 61 old"
        );
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
        let unknown =
            Attached { xdp: Vec::new(), tcx: Tcx::Unknown { reason: "no rights".to_owned() }, filters: None };
        assert_eq!(unknown.check("a").found, "TCX unknown (no rights), TC filters unknown");
        let absent = Attached { tcx: Tcx::Absent, filters: Some(Vec::new()), ..unknown };
        assert_eq!(absent.check("a").found, "nothing");
    }

    #[test]
    fn a_kernel_without_tcx_is_told_from_missing_rights() {
        use nix::libc::{EINVAL, ENODEV, EPERM};

        let answer = |errno| {
            let io_error = std::io::Error::from_raw_os_error(errno);
            no_tcx(&ProgramError::SyscallError(aya::sys::SyscallError { call: "bpf_prog_query", io_error }))
        };
        assert_eq!(answer(EINVAL), Tcx::Absent);
        assert!(matches!(answer(EPERM), Tcx::Unknown { reason } if reason.contains("CAP_NET_ADMIN")));
        assert!(matches!(answer(ENODEV), Tcx::Unknown { reason } if reason.contains("No such device")));
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
