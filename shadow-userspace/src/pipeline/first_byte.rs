//! How long the service takes to begin an answer: takes of a flow where its requests begin and end, and the kernel's word
//! that an answer began ([`shadow_common::marks::ANSWERED`]); gives the time from the request's last byte to the answer's
//! first, as both were captured.
//!
//! What can't be paired for sure isn't measured: an answer that came before the request's end, one of a client that
//! pipelines, one that may be an earlier one's.

use std::time::Duration;

use crate::{capture::Segment, tcp::Seq};

/// What is known of a flow's latest request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FirstByte {
    /// There is none, or it isn't measured.
    #[default]
    Idle,
    /// It began. Its answer begins at `answer`, or later behind interim ones.
    Begun { answer: Seq },
    /// It is complete.
    Ended {
        answer: Seq,
        /// One past its last byte.
        end: Seq,
        /// When that was captured.
        ns: u64,
    },
    /// The client pipelines: nothing of the flow is measured any more.
    Pipelined,
}

impl FirstByte {
    /// A record of the client was taken, with which so many requests began; `complete` is where the latest request ends
    /// if nothing is missing of it.
    pub(super) fn request(&mut self, record: &Segment<'_>, begun: u8, complete: Option<Seq>) {
        match begun {
            0 => {}
            1 => self.begin(Seq(record.ack)),
            _ => *self = Self::Pipelined,
        }
        if let (&mut Self::Begun { answer }, Some(end)) = (&mut *self, complete) {
            *self = Self::Ended { answer, end, ns: record.timestamp_ns };
        }
    }

    /// What the client has received of the service tells whether it waited for the answer before.
    fn begin(&mut self, received: Seq) {
        *self = match *self {
            Self::Begun { answer } | Self::Ended { answer, .. } if answer == received => Self::Pipelined,
            Self::Pipelined => Self::Pipelined,
            _ => Self::Begun { answer: received },
        };
    }

    /// The service began an answer; says how long that took since the request's last byte. Only the first counts.
    pub(super) fn answered(&mut self, record: &Segment<'_>) -> Option<Duration> {
        if *self == Self::Pipelined {
            return None;
        }
        let Self::Ended { answer, end, ns } = std::mem::take(self) else { return None };
        let is_ours = record.ack == end.0 && !answer.is_after(Seq(record.seq));
        let passed = record.timestamp_ns.checked_sub(ns).filter(|_| is_ours)?;
        Some(Duration::from_nanos(passed))
    }
}
