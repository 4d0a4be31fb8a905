//! The programs, loaded but not attached to anything, and frames run through them.

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use shadow_common::Counter;
use shadow_userspace::capture::{
    AttachMode, CaptureError, EXPORT, Kernel as HostKernel, KernelCounters, LiveOptions, Programs,
    SampleRate, Segment, TAG, load,
};

use crate::frame::Frame;

const XDP_PASS: u32 = 2;
const TCX_NEXT: u32 = u32::MAX;

/// The programs.
pub struct Kernel {
    pub programs: Programs,
    /// Run `tag` over each frame before `export`, as if its tag got lost.
    pub with_tag: bool,
}

impl Kernel {
    /// `None` without the rights to load; says so.
    pub fn new(rate: &str) -> Option<Self> {
        Self::with(rate, |_| ())
    }

    pub fn with(rate: &str, change: impl FnOnce(&mut LiveOptions)) -> Option<Self> {
        Self::on(&HostKernel::detect().unwrap(), rate, change)
    }

    /// As they are loaded on another kernel.
    pub fn on(kernel: &HostKernel, rate: &str, change: impl FnOnce(&mut LiveOptions)) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: loading kernel programs needs root");
            return None;
        }
        let mut options = LiveOptions {
            ports: vec![8080, 9090],
            rate: rate.parse::<SampleRate>().unwrap(),
            attach: AttachMode::Tc,
            ring_bytes: 1 << 20,
            max_flows: 1024,
            seed: 7,
            ..LiveOptions::default()
        };
        change(&mut options);
        let mut programs = load(&options, kernel).map_err(|error: CaptureError| error.to_string()).unwrap();
        tag(&mut programs).load().unwrap();
        export(&mut programs).load().unwrap();
        Some(Self { programs, with_tag: false })
    }

    /// Runs both programs over a frame and checks what they return.
    pub fn run(&mut self, frame: &[u8]) -> Result<(), ProgramError> {
        self.tag(frame)?;
        self.export(frame)
    }

    /// Runs `tag` alone over a frame and checks what it returns.
    pub fn tag(&mut self, frame: &[u8]) -> Result<(), ProgramError> {
        let returned = tag(&mut self.programs).test_run(options(frame))?.return_value;
        assert_eq!(returned, XDP_PASS, "tag over {frame:02x?}");
        Ok(())
    }

    /// Runs `export` alone over a frame and checks what it returns.
    pub fn export(&mut self, frame: &[u8]) -> Result<(), ProgramError> {
        self.export_marked(frame, 0)
    }

    /// Runs `export` over a frame from a socket with this SO_MARK.
    pub fn export_marked(&mut self, frame: &[u8], mark: u32) -> Result<(), ProgramError> {
        // `mark` is the third word of the context.
        self.export_with(frame, &[(2, mark)])
    }

    /// Runs `export` over a frame on the device 1 that came in by this one; 0 for a frame of this host.
    pub fn export_from(&mut self, frame: &[u8], device: u32) -> Result<(), ProgramError> {
        // `ingress_ifindex` and `ifindex` are the tenth word and the one behind it.
        self.export_with(frame, &[(9, device), (10, 1)])
    }

    /// With these words of the context set.
    fn export_with(&mut self, frame: &[u8], words: &[(usize, u32)]) -> Result<(), ProgramError> {
        let mut context = [0_u8; 192];
        for (word, value) in words {
            context[word * 4..][..4].copy_from_slice(&value.to_ne_bytes());
        }
        let options = TestRunOptions { ctx_in: Some(&context), ..options(frame) };
        let returned = export(&mut self.programs).test_run(options)?.return_value;
        assert_eq!(returned, TCX_NEXT, "export over {frame:02x?}");
        Ok(())
    }

    pub fn send(&mut self, frame: &Frame) {
        let bytes = frame.bytes();
        if self.with_tag {
            self.tag(&bytes).unwrap();
        }
        self.export(&bytes).unwrap();
    }

    pub fn counters(&self) -> KernelCounters {
        self.programs.control.counters().unwrap()
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counters().get(counter)
    }

    /// Takes the next record out of the ring and looks at it.
    pub fn record<R>(&mut self, look: impl FnOnce(&Segment<'_>) -> R) -> Option<R> {
        self.programs.ring.take(|segment| look(&segment.unwrap()))
    }
}

fn options(frame: &[u8]) -> TestRunOptions<'_> {
    TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() }
}

fn tag(programs: &mut Programs) -> &mut Xdp {
    programs.ebpf.program_mut(TAG).unwrap().try_into().unwrap()
}

fn export(programs: &mut Programs) -> &mut SchedClassifier {
    programs.ebpf.program_mut(EXPORT).unwrap().try_into().unwrap()
}
