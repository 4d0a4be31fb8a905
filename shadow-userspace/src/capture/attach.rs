//! Hooks the kernel programs to an interface: TC on both directions always, XDP where it is asked for.

use std::io;

use aya::{
    Ebpf,
    programs::{
        ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode, links::LinkOrder, tc::TcAttachOptions,
    },
};

use crate::capture::{
    CaptureError,
    load::{EXPORT, TAG},
};

/// Where the programs attach (`--attach`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// TC alone. On most drivers the first XDP program interrupts traffic, so it is never a default.
    #[default]
    Auto,
    /// XDP in the driver, and TC.
    XdpNative,
    /// XDP in the stack, and TC.
    XdpGeneric,
    /// TC alone.
    Tc,
}

impl AttachMode {
    pub(super) const fn wants_xdp(self) -> bool {
        matches!(self, Self::XdpNative | Self::XdpGeneric)
    }
}

/// Attaches the programs and says in words what was done.
///
/// # Errors
/// Nothing stays attached: the caller drops `ebpf`, and with it the links.
pub fn attach(ebpf: &mut Ebpf, interfaces: &[String], mode: AttachMode) -> Result<String, CaptureError> {
    let words: Result<Vec<_>, _> = interfaces.iter().map(|interface| one(ebpf, interface, mode)).collect();
    Ok(words?.join(", "))
}

fn one(ebpf: &mut Ebpf, interface: &str, mode: AttachMode) -> Result<String, CaptureError> {
    // TC first: from the first tag on there is someone to read it.
    tc(ebpf, interface)?;
    let xdp_words = match mode {
        AttachMode::XdpNative => {
            xdp(ebpf, interface, XdpMode::Driver, "native")?;
            "XDP native, "
        }
        AttachMode::XdpGeneric => {
            xdp(ebpf, interface, XdpMode::Skb, "generic")?;
            "XDP generic, "
        }
        AttachMode::Auto | AttachMode::Tc => "",
    };
    Ok(format!("{interface} ({xdp_words}TC ingress and egress by TCX)"))
}

fn tc(ebpf: &mut Ebpf, interface: &str) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Program { program: EXPORT, source };
    let program: &mut SchedClassifier = program(ebpf, EXPORT)?.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
        // First in the chain: programs behind may end it, ours never does.
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        program.attach_with_options(interface, hook, options).map_err(failed)?;
    }
    Ok(())
}

fn xdp(ebpf: &mut Ebpf, interface: &str, mode: XdpMode, words: &'static str) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Program { program: TAG, source };
    let program: &mut Xdp = program(ebpf, TAG)?.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    match program.attach(interface, mode) {
        Ok(_) => Ok(()),
        Err(ProgramError::SyscallError(error)) => Err(refused(interface, words, error.io_error)),
        Err(source) => Err(refused(interface, words, io::Error::other(source))),
    }
}

/// Tells a taken hook (EBUSY; EEXIST where the other program runs in the other mode) from a driver that refuses.
fn refused(interface: &str, mode: &'static str, reason: io::Error) -> CaptureError {
    let interface = interface.to_owned();
    match reason.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(nix::errno::Errno::EBUSY | nix::errno::Errno::EEXIST) => CaptureError::XdpTaken { interface },
        _ => CaptureError::XdpRefused { interface, mode, reason },
    }
}

fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut aya::programs::Program, CaptureError> {
    ebpf.program_mut(name).ok_or(CaptureError::Object(name))
}
