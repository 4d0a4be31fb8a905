//! TC by filters of a clsact qdisc, as on kernels before 6.6. They are no file descriptors: what a killed agent leaves
//! is removed by the next one.
//!
//! Everything here happens in the namespace of the calling thread, which must be the devices'. That is why removing is
//! a call and no `Drop`.

use std::io;

use aya::programs::{
    Link as _, ProgramError, SchedClassifier, TcAttachType,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
};
use nix::errno::Errno;

use crate::{
    capture::{
        CaptureError, EXPORT,
        attach::claim::{Claim, Handle, Turn},
    },
    netlink::tc::{self, CLSACT, Filter},
};

/// The two directions of a clsact qdisc.
const DIRECTIONS: [TcAttachType; 2] = [TcAttachType::Ingress, TcAttachType::Egress];

/// Ours go first in the chain. Filters of one priority are of one kind, so others may be in the way of the first few.
const PRIORITIES: std::ops::RangeInclusive<u16> = 1..=8;

/// The filters of this agent on one device.
#[derive(Debug)]
pub struct Filters {
    interface: String,
    device: u32,
    claim: Claim,
    links: Vec<SchedClassifierLink>,
}

impl Filters {
    /// Attaches the program, which must be loaded, to these directions; adds the qdisc where there is none.
    ///
    /// # Errors
    /// Nothing stays attached.
    pub fn attach(
        program: &mut SchedClassifier,
        interface: &str,
        directions: &[TcAttachType],
    ) -> Result<Self, CaptureError> {
        let _turn = Turn::wait();
        let device = index(interface)?;
        let qdisc_is_ours = set_up_qdisc(interface, device)?;
        let claim = Claim::new(qdisc_is_ours).map_err(failed(interface, "mark filters as an agent's"))?;
        let mut filters = Self { interface: interface.to_owned(), device, claim, links: Vec::new() };
        for &direction in directions {
            match add(program, interface, direction, filters.claim.handle()) {
                Ok(link) => filters.links.push(link),
                Err(source) => {
                    filters.take_away();
                    return Err(CaptureError::Program { program: EXPORT, source });
                }
            }
        }
        Ok(filters)
    }

    /// Removes the filters, and the qdisc if it came with an agent and nothing else is in it.
    pub fn remove(self) {
        let _turn = Turn::wait();
        self.take_away();
    }

    fn take_away(self) {
        let Self { interface, device, claim, links } = self;
        for link in links {
            if let Err(error) = link.detach() {
                tracing::warn!("{interface}: can't remove a TC filter: {error}");
            }
        }
        if claim.handle().qdisc_is_ours() {
            remove_empty_qdisc(&interface, device);
        }
    }
}

/// Removes filters whose agent is dead, with the qdisc if that is empty then and came with an agent.
///
/// # Errors
/// The kernel can't be asked.
pub fn sweep(interface: &str) -> Result<(), CaptureError> {
    let _turn = Turn::wait();
    let device = index(interface)?;
    let mut qdisc_is_ours = false;
    for direction in DIRECTIONS {
        for (priority, handle) in ours(interface, device, direction)? {
            // Held until the filter is gone.
            let claim = Claim::of(handle).map_err(failed(interface, "tell whose filters there are"))?;
            if claim.is_some() {
                delete(interface, direction, priority, handle)?;
                qdisc_is_ours |= handle.qdisc_is_ours();
            }
        }
    }
    if qdisc_is_ours {
        remove_empty_qdisc(interface, device);
    }
    Ok(())
}

fn delete(
    interface: &str,
    direction: TcAttachType,
    priority: u16,
    handle: Handle,
) -> Result<(), CaptureError> {
    let number = TcHandle::from(handle.number());
    let link = SchedClassifierLink::attached(interface, direction, priority, number, None)
        .map_err(failed(interface, "find a filter"))?;
    link.detach().map_err(|source| CaptureError::Program { program: EXPORT, source })?;
    tracing::warn!("{interface}: removed a TC filter ({direction:?}) that an agent left when it was killed");
    Ok(())
}

/// The agents' filters, dead and alive.
fn ours(interface: &str, device: u32, direction: TcAttachType) -> Result<Vec<(u16, Handle)>, CaptureError> {
    let filters = list(interface, device, direction)?.into_iter();
    let ours = filters.filter(|filter| filter.name.as_deref() == Some(EXPORT));
    Ok(ours.filter_map(|filter| Some((filter.priority, Handle::parse(filter.handle)?))).collect())
}

/// Whether there is a clsact qdisc; if not, there is room for it.
///
/// # Errors
/// Another qdisc has its place, or the kernel can't be asked.
pub fn has_clsact(interface: &str, device: u32) -> Result<bool, CaptureError> {
    match tc::qdisc(device).map_err(failed(interface, "list qdiscs"))?.as_deref() {
        None => Ok(false),
        Some(CLSACT) => Ok(true),
        // It would take filters for egress and run them on ingress.
        Some(_) => Err(CaptureError::IngressQdisc { interface: interface.to_owned() }),
    }
}

/// Sees to it that there is a clsact qdisc, and says whether it came with an agent.
fn set_up_qdisc(interface: &str, device: u32) -> Result<bool, CaptureError> {
    if !has_clsact(interface, device)? {
        qdisc_add_clsact(interface)
            .map_err(|error| failed(interface, "add a clsact qdisc")(io::Error::other(error)))?;
        return Ok(true);
    }
    let mut handles = Vec::new();
    for direction in DIRECTIONS {
        handles.extend(ours(interface, device, direction)?);
    }
    Ok(handles.iter().any(|(_, handle)| handle.qdisc_is_ours()))
}

fn remove_empty_qdisc(interface: &str, device: u32) {
    let is_empty = |direction| list(interface, device, direction).is_ok_and(|filters| filters.is_empty());
    if DIRECTIONS.into_iter().all(is_empty)
        && let Err(error) = tc::delete_clsact(device)
    {
        tracing::warn!("{interface}: can't remove the clsact qdisc: {error}");
    }
}

/// Adds one filter, as far in front as may be.
fn add(
    program: &mut SchedClassifier,
    interface: &str,
    direction: TcAttachType,
    handle: Handle,
) -> Result<SchedClassifierLink, ProgramError> {
    let handle = TcHandle::from(handle.number());
    let mut attach = |priority| {
        let options = TcAttachOptions::Netlink(NlOptions { priority, handle, classid: None });
        program.attach_with_options(interface, direction, options)
    };
    let mut attached = attach(*PRIORITIES.start());
    for priority in PRIORITIES.skip(1) {
        match &attached {
            Err(error) if is_of_another_kind(error) => attached = attach(priority),
            _ => break,
        }
    }
    let link = program.take_link(attached?)?;
    if link.priority()? > *PRIORITIES.start() {
        tracing::warn!(
            "{interface}: another TC filter ({direction:?}) comes before ours; what it ends is not seen"
        );
    }
    Ok(link)
}

/// Whether a filter of another kind or protocol has that priority.
fn is_of_another_kind(error: &ProgramError) -> bool {
    matches!(error, ProgramError::TcError(TcError::NetlinkError(error))
        if error.raw_os_error() == Some(Errno::EINVAL as i32))
}

fn list(interface: &str, device: u32, direction: TcAttachType) -> Result<Vec<Filter>, CaptureError> {
    tc::filters(device, direction).map_err(failed(interface, "list filters"))
}

fn index(interface: &str) -> Result<u32, CaptureError> {
    nix::net::if_::if_nametoindex(interface).map_err(|errno| failed(interface, "find it")(errno.into()))
}

fn failed(interface: &str, task: &'static str) -> impl FnOnce(io::Error) -> CaptureError {
    let interface = interface.to_owned();
    move |source| CaptureError::Tc { interface, task, source }
}
