//! What is attached to a device already: XDP programs, TCX programs, filters of clsact.

use aya::programs::{ProgramError, ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};

use crate::{
    capture::{EXPORT, TAG, TAG_SKB},
    doctor::{
        Check,
        device::link::{Link, XdpId},
        netlink::{Wanted, route},
    },
};

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
    for (words, side) in [("ingress", TcAttachType::Ingress), ("egress", TcAttachType::Egress)] {
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
    let sides = [("ingress", TcHandle::MIN_INGRESS), ("egress", TcHandle::MIN_EGRESS)];
    let mut found = Vec::new();
    for (words, minor) in sides {
        let mut message = TcMessage::default();
        message.header.index = i32::try_from(index).ok()?;
        message.header.parent = TcHandle { major: TcHandle::CLSACT.major, minor };
        let answers = route(RouteNetlinkMessage::GetTrafficFilter(message), Wanted::All).ok()?;
        found.extend(answers.iter().filter_map(filter).map(|filter| format!("{words} {filter}")));
    }
    Some(found)
}

/// `bpf 61 name`, or the kind of another filter. The kernel lists each chain's head too, which is no filter.
fn filter(answer: &RouteNetlinkMessage) -> Option<String> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = answer else { return None };
    if message.header.handle == TcHandle::UNSPEC {
        return None;
    }
    let (mut kind, mut id, mut name) = ("unknown", None, None);
    for attribute in &message.attributes {
        match attribute {
            TcAttribute::Kind(text) => kind = text,
            TcAttribute::Options(options) => {
                for option in options {
                    match option {
                        TcOption::Bpf(TcFilterBpfOption::ProgId(value)) => id = Some(*value),
                        TcOption::Bpf(TcFilterBpfOption::ProgName(text)) => name = Some(text.as_str()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(id.map_or_else(|| kind.to_owned(), |id| format!("{kind} {}", described(id, name))))
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
    fn filters_are_read_from_the_answer() {
        let mut message = TcMessage::default();
        message.attributes = vec![
            TcAttribute::Kind("bpf".to_owned()),
            TcAttribute::Options(vec![
                TcOption::Bpf(TcFilterBpfOption::ProgName(EXPORT.to_owned())),
                TcOption::Bpf(TcFilterBpfOption::ProgId(61)),
            ]),
        ];
        assert_eq!(filter(&RouteNetlinkMessage::NewTrafficFilter(message.clone())), None, "a chain's head");
        message.header.handle = TcHandle { major: 0, minor: 1 };
        let shown = filter(&RouteNetlinkMessage::NewTrafficFilter(message.clone()));
        assert_eq!(shown.as_deref(), Some("bpf 61 shadow_export (a shadow-agent's)"));
        message.attributes = vec![TcAttribute::Kind("flower".to_owned())];
        let shown = filter(&RouteNetlinkMessage::NewTrafficFilter(message));
        assert_eq!(shown.as_deref(), Some("flower"));
    }
}
