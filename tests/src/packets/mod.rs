//! Captures by construction: TCP conversations written as scripts, every fault that a capture may have, and the file
//! formats that tools write. What was said is known, so what a reader finds can be judged.
//!
//! [`conversation`] makes [`packet`]s from a script, [`message`] says what requests and answers look like, [`faults`]
//! changes the packets as networks and capturing do, [`wire`] turns one into the bytes of a frame, and [`mod@file`] and
//! [`pcapng`] write them down.

pub mod conversation;
pub mod faults;
pub mod file;
pub mod message;
pub mod packet;
pub mod pcapng;
pub mod wire;

pub use conversation::{Conversation, Exchange};
pub use file::{Format, Order};
pub use message::Reply;
pub use packet::{Ends, Packet, Side};
pub use wire::Link;
