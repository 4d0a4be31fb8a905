//! The kernel programs' counters: one for every decision, summed per CPU.

/// To which account a counter belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterKind {
    /// Packets that TC saw and that are no segment of a service port.
    Passed,
    /// A segment of a service port that was exported whole or in part.
    Exported,
    /// A segment of a service port that was not exported, for the named reason.
    Skipped,
    /// Anything else: totals, flows, and what XDP did.
    Other,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $label:literal, $kind:ident;)+) => {
        /// A per-CPU counter. `matched == exported + skipped{reason}` holds over them (the ledger's kernel half).
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($(#[doc = $doc])+ $name,)+ }

        /// Every counter in the order of its number.
        pub const COUNTERS: &[Counter] = &[$(Counter::$name,)+];

        impl Counter {
            /// The name that logs, summaries and metrics show.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// The account that this counter belongs to.
            #[must_use]
            pub const fn kind(self) -> CounterKind {
                match self { $(Self::$name => CounterKind::$kind,)+ }
            }
        }
    };
}

counters! {
    /// TC: not IP, not TCP.
    NotTcp = "not_tcp", Passed;
    /// TC: an IP fragment; only whole datagrams are looked at.
    Fragment = "fragment", Passed;
    /// TC: headers cut short or contradicting themselves.
    Malformed = "malformed", Passed;
    /// TC: TCP, but neither port is a service port.
    OtherPort = "other_port", Passed;
    /// TC: a segment of a service port.
    Matched = "matched", Other;
    /// TC: exported, every payload byte with it.
    Exported = "exported", Exported;
    /// TC: exported, but with fewer payload bytes than it has.
    Truncated = "truncated", Exported;
    /// TC: its flow is not in the sample.
    Unsampled = "unsampled", Skipped;
    /// TC: its flow began before the programs were attached, or its entry was evicted.
    UnknownFlow = "unknown_flow", Skipped;
    /// TC: no payload and neither SYN, FIN nor RST.
    Empty = "empty", Skipped;
    /// TC: response payload, which nobody asked for.
    Response = "response", Skipped;
    /// TC: a packet of the agent's own sockets (SO_MARK).
    Own = "own", Skipped;
    /// TC: the ring had no room.
    RingFull = "ring_full", Skipped;
    /// Payload bytes written to the ring.
    ExportedBytes = "exported_bytes", Other;
    /// Records written to the ring.
    Records = "records", Other;
    /// Flows whose SYN was seen.
    FlowsSeen = "flows_seen", Other;
    /// Flows taken into the sample.
    FlowsSampled = "flows_sampled", Other;
    /// Segments of unsampled flows that begin with a method token: an estimate of the requests not sampled, low by
    /// those that share a segment with an earlier one.
    UnsampledRequests = "unsampled_requests", Other;
    /// XDP: packets seen.
    XdpSeen = "xdp_seen", Other;
    /// XDP: packets that carry a tag to TC.
    XdpTagged = "xdp_tagged", Other;
    /// XDP: no tag because the driver gives no room for metadata; TC decides for itself.
    XdpUntagged = "xdp_untagged", Other;
    /// TC: packets whose tag spared TC the decision.
    TagUsed = "tag_used", Other;
}
