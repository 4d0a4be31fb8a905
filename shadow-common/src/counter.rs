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
    /// TC: the beginning of an answer to a sampled request, of which only the time was exported.
    Answered = "answered", Exported;
    /// TC: its request is not in the sample.
    Unsampled = "unsampled", Skipped;
    /// TC: no request start is known in its flow: it began before the programs were attached, wasn't accepted by the
    /// service, lost a byte, or its entry was evicted.
    UnknownFlow = "unknown_flow", Skipped;
    /// TC: bytes of a request before the flow's current one, sent again.
    Repeated = "repeated", Skipped;
    /// TC: bytes behind the connection's last request (`Connection: close`).
    AfterLast = "after_last", Skipped;
    /// TC: the flow speaks TLS.
    Tls = "tls", Skipped;
    /// TC: the flow speaks neither HTTP nor TLS.
    OtherProtocol = "other_protocol", Skipped;
    /// TC: the agent wants no more of the flow: a tunnel, doubtful framing, or a protocol that it doesn't read.
    LeftAlone = "left_alone", Skipped;
    /// TC: no payload and neither SYN, FIN nor RST.
    Empty = "empty", Skipped;
    /// TC: SYN, FIN or RST without payload, of a flow that the agent knows nothing of.
    Control = "control", Skipped;
    /// TC: response payload, which nobody asked for.
    Response = "response", Skipped;
    /// TC: a packet of a flow that the agent itself opened (SO_MARK).
    Own = "own", Skipped;
    /// TC: the ring had no room for it, or for an earlier part of its request.
    RingFull = "ring_full", Skipped;
    /// Payload bytes written to the ring.
    ExportedBytes = "exported_bytes", Other;
    /// Records written to the ring.
    Records = "records", Other;
    /// Bytes of the ring that its records took, since the start: with their headers and unused tails.
    RingBytes = "ring_bytes", Other;
    /// Requests whose framing the kernel read, in the sample or not.
    RequestsFramed = "requests_framed", Other;
    /// Runs whose end the kernel can't tell: exported, and framed by the agent.
    RunsOpened = "runs_opened", Other;
    /// Runs that the agent ended by telling where the next request begins.
    RunsResumed = "runs_resumed", Other;
    /// Sampled requests of which not even the first segment found room in the ring.
    RequestsLost = "requests_lost", Other;
    /// Those of them that no one framed, as the run was open.
    UnframedLost = "unframed_lost", Other;
    /// Flows whose SYN was seen.
    FlowsSeen = "flows_seen", Other;
    /// Flows that speak HTTP/2 with prior knowledge.
    FlowsHttp2 = "flows_http2", Other;
    /// Flows that speak TLS.
    FlowsTls = "flows_tls", Other;
    /// Flows that speak neither HTTP nor TLS.
    FlowsOther = "flows_other", Other;
    /// Requests taken for the first of a flow that is met in mid-life.
    MidlifeTaken = "midlife_taken", Other;
    /// Those of them that the service's answer confirmed.
    MidlifeConfirmed = "midlife_confirmed", Other;
    /// TC: packets seen that came in by the device.
    IngressSeen = "ingress_seen", Other;
    /// TC: packets seen that go out by the device, unless they came in by the same one.
    EgressSeen = "egress_seen", Other;
    /// XDP: packets seen.
    XdpSeen = "xdp_seen", Other;
    /// XDP: packets that carry a tag to TC.
    XdpTagged = "xdp_tagged", Other;
    /// XDP: no tag because the driver gives no room for metadata; TC decides for itself.
    XdpUntagged = "xdp_untagged", Other;
    /// TC: packets whose tag spared TC the decision.
    TagUsed = "tag_used", Other;
}
