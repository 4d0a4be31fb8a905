//! XDP, where it is asked for.

use std::io;

use aya::programs::{ProgramError, Xdp, XdpMode};
use nix::errno::Errno;

use crate::capture::CaptureError;

/// Whether XDP is on the device now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Ours is.
    Attached,
    /// Another program has the place.
    Taken,
}

/// Attaches the program, which must be loaded.
///
/// # Errors
/// The driver refuses.
pub fn attach(program: &mut Xdp, interface: &str, mode: XdpMode) -> Result<Outcome, CaptureError> {
    let reason = match program.attach(interface, mode) {
        Ok(_) => return Ok(Outcome::Attached),
        Err(ProgramError::SyscallError(error)) => error.io_error,
        Err(source) => io::Error::other(source),
    };
    match reason.raw_os_error().map(Errno::from_raw) {
        // EEXIST where the other program runs in the other mode.
        Some(Errno::EBUSY | Errno::EEXIST) => Ok(Outcome::Taken),
        _ => Err(CaptureError::XdpRefused { interface: interface.to_owned(), mode: words(mode), reason }),
    }
}

/// The mode in words.
pub const fn words(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Driver => "native",
        XdpMode::Skb => "generic",
        XdpMode::Hardware => "hardware",
        XdpMode::Default => "any",
    }
}
