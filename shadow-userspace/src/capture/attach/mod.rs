//! Hooks the kernel programs to interfaces: TC always, XDP where it is asked for. The ladder, from its top:
//!
//! XDP and TC → TC alone, where another program has XDP. TC by TCX links → by [`clsact`] filters, where the kernel has
//! no TCX.
//!
//! Isolation (invariant 1): TCX and XDP links end with this process, whichever way it ends. Filters don't; they are
//! removed by [`Attached`]'s drop, or after a kill by the next agent on that interface.

mod claim;
mod clsact;
mod xdp;

pub(crate) use clsact::has_clsact;

use aya::{
    Ebpf,
    programs::{
        Program, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode, links::LinkOrder,
        tc::TcAttachOptions,
    },
};

use crate::capture::{
    CaptureError, Kernel,
    load::{EXPORT, TAG, TAG_SKB, retried},
    netns::Namespace,
    preflight,
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
    /// TC alone, by netlink filters, as on kernels before 6.6.
    Clsact,
}

impl AttachMode {
    /// The mode of XDP, if that is asked for.
    pub(crate) const fn xdp(self) -> Option<XdpMode> {
        match self {
            Self::XdpNative => Some(XdpMode::Driver),
            Self::XdpGeneric => Some(XdpMode::Skb),
            Self::Auto | Self::Tc | Self::Clsact => None,
        }
    }

    /// The XDP program that it attaches, if any.
    pub(crate) fn xdp_program(self) -> Option<&'static str> {
        self.xdp().map(tag_name)
    }

    /// Whether TC attaches by filters of a clsact qdisc, and not by links.
    pub(crate) fn takes_filters(self, kernel: &Kernel) -> bool {
        self == Self::Clsact || !kernel.has_tcx()
    }
}

/// The programs with all that they are attached to; dropping it detaches them.
#[derive(Debug)]
pub struct Attached {
    /// Holds the TCX and XDP links.
    ebpf: Ebpf,
    filters: Vec<clsact::Filters>,
    /// Where the filters are; this process' own if there are none, so that no namespace is kept from ending.
    namespace: Namespace,
    words: String,
}

impl Attached {
    /// Loads the programs and attaches them to the interfaces of `namespace`.
    ///
    /// # Errors
    /// Nothing stays attached.
    pub fn new(
        mut ebpf: Ebpf,
        namespace: Namespace,
        interfaces: &[String],
        mode: AttachMode,
        kernel: &Kernel,
    ) -> Result<Self, CaptureError> {
        let program = export(&mut ebpf)?;
        retried(|| program.load()).map_err(failed(EXPORT))?;
        if let Some(xdp) = mode.xdp() {
            let program = tag(&mut ebpf, xdp)?;
            retried(|| program.load()).map_err(failed(tag_name(xdp)))?;
        }
        let mut attached = Self { ebpf, filters: Vec::new(), namespace, words: String::new() };
        let Self { ebpf, filters, namespace, .. } = &mut attached;
        let words: Vec<String> = namespace.run(|| {
            interfaces.iter().map(|interface| one(ebpf, filters, interface, mode, kernel)).collect()
        })?;
        attached.words = words.join(", ") + &attached.namespace.words();
        if attached.filters.is_empty() {
            attached.namespace = Namespace::Own;
        }
        Ok(attached)
    }

    /// The programs.
    pub fn programs(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// What was attached where, in words for a log line.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.filters.is_empty() {
            return;
        }
        let filters = std::mem::take(&mut self.filters);
        let removed = self.namespace.run(|| {
            filters.into_iter().for_each(clsact::Filters::remove);
            Ok(())
        });
        if let Err(error) = removed {
            tracing::error!("TC filters are left behind, which the next start removes: {error}");
        }
    }
}

/// Attaches to one interface and says in words what was done. Runs in the interface's namespace.
fn one(
    ebpf: &mut Ebpf,
    filters: &mut Vec<clsact::Filters>,
    interface: &str,
    mode: AttachMode,
    kernel: &Kernel,
) -> Result<String, CaptureError> {
    if let Err(error) = clsact::sweep(interface) {
        tracing::warn!("can't look for filters of a killed agent: {error}");
    }
    // A packet on lo passes both hooks on the same host: it is seen on ingress.
    let (directions, sides): (&[_], _) = if preflight::is_loopback(interface) {
        (&[TcAttachType::Ingress], "ingress")
    } else {
        (&[TcAttachType::Ingress, TcAttachType::Egress], "ingress and egress")
    };
    // TC first: from the first tag on there is someone to read it.
    let by = if mode.takes_filters(kernel) {
        filters.push(clsact::Filters::attach(export(ebpf)?, interface, directions)?);
        "clsact filters"
    } else {
        tcx(export(ebpf)?, interface, directions)?;
        "TCX"
    };
    let tc = format!("TC {sides} by {by}");
    let Some(xdp_mode) = mode.xdp() else { return Ok(format!("{interface} ({tc})")) };
    Ok(match xdp::attach(tag(ebpf, xdp_mode)?, interface, xdp_mode)? {
        xdp::Outcome::Attached => format!("{interface} (XDP {}, {tc})", xdp::words(xdp_mode)),
        xdp::Outcome::Taken => {
            tracing::warn!(
                "{interface}: another program has XDP (`ip link show dev {interface}` names it): TC does without"
            );
            format!("{interface} ({tc}; XDP is taken by another program)")
        }
    })
}

fn tcx(
    program: &mut SchedClassifier,
    interface: &str,
    directions: &[TcAttachType],
) -> Result<(), CaptureError> {
    for &direction in directions {
        // First in the chain: programs behind may end it, ours never does.
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        program.attach_with_options(interface, direction, options).map_err(failed(EXPORT))?;
    }
    Ok(())
}

fn export(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, CaptureError> {
    program(ebpf, EXPORT)?.try_into().map_err(failed(EXPORT))
}

fn tag(ebpf: &mut Ebpf, mode: XdpMode) -> Result<&mut Xdp, CaptureError> {
    program(ebpf, tag_name(mode))?.try_into().map_err(failed(tag_name(mode)))
}

const fn tag_name(mode: XdpMode) -> &'static str {
    if matches!(mode, XdpMode::Skb) { TAG_SKB } else { TAG }
}

/// A program of the object by its name.
pub(crate) fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Program, CaptureError> {
    ebpf.program_mut(name).ok_or(CaptureError::Object(name))
}

/// The error of loading or attaching a program.
pub(crate) fn failed(program: &'static str) -> impl Fn(ProgramError) -> CaptureError {
    move |source| CaptureError::Program { program, source }
}
