//! Live capture: the programs attached, their ring drained on the caller's thread.

use std::{path::PathBuf, time::Duration};

use aya_log::EbpfLogger;
use shadow_common::SampleBy;

use crate::capture::{
    AttachMode, CaptureError, Control, Kernel, Programs, Ring, SampleRate, Segment, Usage, attach::Attached,
    load, netns::Namespace, preflight,
};

/// What to capture and where.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Network interfaces by name.
    pub interfaces: Vec<String>,
    /// The network namespace that they are in, by its path, such as `/run/netns/NAME` or `/proc/PID/ns/net`; none: this
    /// process'.
    pub netns: Option<PathBuf>,
    /// Service ports.
    pub ports: Vec<u16>,
    /// Share of the requests to sample.
    pub rate: SampleRate,
    /// What requests share that are sampled alike.
    pub sample_by: SampleBy,
    /// Where to attach.
    pub attach: AttachMode,
    /// Ring buffer size in bytes: a power of two, at least 256 KiB.
    pub ring_bytes: u32,
    /// Flows whose verdict the kernel remembers at once; beyond, the least recently used is forgotten.
    pub max_flows: u32,
    /// Leave connections alone whose beginning wasn't seen.
    pub only_new: bool,
    /// Export response payload too.
    pub export_responses: bool,
    /// Tell when answers to sampled requests begin ([`shadow_common::marks::ANSWERED`]), where they aren't exported.
    pub report_answers: bool,
    /// SO_MARK of the agent's own sockets, whose packets are never exported; 0 for none.
    pub own_mark: u32,
    /// Seed of the flow hash; a random one keeps it from being for ever the same connections that are sampled.
    pub seed: u32,
}

impl Default for LiveOptions {
    /// Everything of no port on no interface, with the limits that `run` has by default.
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            netns: None,
            ports: Vec::new(),
            rate: SampleRate::ALL,
            sample_by: SampleBy::default(),
            attach: AttachMode::default(),
            ring_bytes: 16 << 20,
            max_flows: 65_536,
            only_new: false,
            export_responses: false,
            report_answers: false,
            own_mark: 0,
            seed: 0,
        }
    }
}

/// The programs, attached; dropping it detaches them.
pub struct Live {
    /// `None` once detached.
    attached: Option<Attached>,
    ring: Ring,
    control: Control,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    attachment: String,
    usage: Usage,
}

impl Live {
    /// Checks what is needed, loads the programs and attaches them.
    ///
    /// # Errors
    /// Says in one line what is missing and what to do. Nothing stays attached.
    pub fn attach(options: &LiveOptions) -> Result<Self, CaptureError> {
        preflight::capabilities(options.netns.is_some())?;
        let namespace = Namespace::open(options.netns.as_deref())?;
        let xdp = options.attach.xdp().is_some();
        namespace.run(|| options.interfaces.iter().try_for_each(|name| preflight::interface(name, xdp)))?;
        let kernel = Kernel::detect()?;
        kernel.require(xdp)?;
        let Programs { ebpf, ring, control } = load(options, &kernel)?;
        let mut attached = Attached::new(ebpf, namespace, &options.interfaces, options.attach, &kernel)?;
        let attachment = attached.words().to_owned();
        let usage = Usage::of(attached.programs());
        // Without it the programs work all the same; their few messages are lost.
        let logger = EbpfLogger::init(attached.programs()).ok();
        Ok(Self { attached: Some(attached), ring, control, logger, attachment, usage })
    }

    /// What was attached where, in words for a log line.
    #[must_use]
    pub fn attachment(&self) -> &str {
        &self.attachment
    }

    /// A handle on the live maps.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// A handle on what the programs cost.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage.clone()
    }

    /// Waits up to `timeout` for records and hands those that are there to `each`, up to a few thousand; says how
    /// many it handed out.
    ///
    /// # Errors
    /// If the ring can't be waited for.
    pub fn drain(
        &mut self,
        timeout: Duration,
        each: impl FnMut(&Segment<'_>),
    ) -> Result<usize, CaptureError> {
        let handed = self.ring.drain(timeout, each)?;
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        Ok(handed)
    }

    /// Detaches the programs; records already in the ring can still be drained.
    pub fn detach(&mut self) {
        self.attached = None;
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("attachment", &self.attachment).finish_non_exhaustive()
    }
}
