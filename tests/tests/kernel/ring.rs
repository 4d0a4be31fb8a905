//! A full ring: counted, and no request goes out with a hole.

use shadow_common::{Counter, marks::LOST, tcp_flags::RST};

use crate::{
    frame::Frame,
    talk::{OPEN, SAMPLED, Talk, brief},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

impl Talk {
    /// Fills the ring with requests of another connection, and says how many found room.
    pub fn fill(&mut self) -> u64 {
        let mut other = self.base.clone();
        // Of each time another: one that lost a part exports no more.
        other.ports.0 += self.kernel.count(Counter::FlowsSeen) as u16 + 1;
        other.seq = 1000;
        let payload =
            [b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n".to_vec(), vec![7; 3000]].concat();
        other.handshake().iter().for_each(|frame| self.kernel.send(frame));
        let before = self.kernel.count(Counter::Exported);
        for _ in 0..400 {
            self.kernel.send(&Frame { payload: payload.clone(), ..other.clone() });
        }
        // The last bit of room, for small records.
        for _ in 0..400 {
            self.kernel.send(&Frame { payload: b"POST".to_vec(), ..other.clone() });
        }
        self.kernel.count(Counter::Exported) - before
    }

    /// Segments and requests that found no room.
    fn losses(&self) -> [u64; 2] {
        [Counter::RingFull, Counter::RequestsLost].map(|counter| self.kernel.count(counter))
    }

    fn drain(&mut self) -> u64 {
        self.records().len() as u64
    }
}

#[test]
fn a_full_ring_is_counted_and_what_fits_is_whole() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let exported = talk.fill();
    let counters = talk.kernel.counters();
    assert!(counters.get(Counter::RingFull) > 0 && exported > 200, "{counters:?}");
    assert!(counters.is_balanced());
    assert_eq!(talk.drain(), exported);
}

#[test]
fn the_rest_of_a_request_that_lost_a_part_is_not_exported() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let first = talk.client(b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n");
    assert_eq!((first[0].start, first[0].mark), (0, SAMPLED));
    talk.fill();
    assert_eq!(talk.kernel.count(Counter::RequestsLost), 0, "what was lost of it was sent before");
    let before = talk.kernel.count(Counter::RingFull);
    let lost = b"0123456789";
    talk.kernel.send(&talk.request(talk.at, lost));
    talk.at += 10;
    talk.drain();
    assert_eq!(talk.client(b"0123456789"), [], "it could not be completed");
    assert_eq!(talk.client(b"0123456789"), []);
    assert_eq!(talk.kernel.count(Counter::RingFull) - before, 3);
    // The next request says that something was lost before it, and is whole; then all is well.
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED | LOST, GET.len())]);
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED, GET.len())]);
    assert_eq!(talk.kernel.count(Counter::RequestsLost), 0);
    assert!(talk.kernel.counters().is_balanced());
}

#[test]
fn a_request_that_is_lost_from_its_beginning_is_counted() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(GET);
    talk.fill();
    let before = talk.kernel.count(Counter::RequestsLost);
    for _ in 0..3 {
        talk.kernel.send(&talk.request(talk.at, GET));
        talk.at += GET.len() as i32;
    }
    assert_eq!(talk.kernel.count(Counter::RequestsLost) - before, 3);
    talk.drain();
    let next = talk.at;
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED | LOST, GET.len())]);
}

/// News of the flow are told all the same.
#[test]
fn a_flow_whose_request_lost_a_part_still_tells_of_its_end() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
    talk.fill();
    talk.kernel.send(&talk.request(talk.at, b"0123456789"));
    talk.drain();
    let reset = talk.frame(Frame { flags: RST, ..talk.answer(b"") });
    assert_eq!((reset.len(), reset[0].flags, reset[0].mark), (1, RST, LOST));
}

/// The kernel doesn't know where the next request begins, so the flow is as one that is met in mid-life.
#[test]
fn an_open_run_that_lost_a_part_is_over() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let first = talk.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(first[0].mark, SAMPLED | OPEN);
    talk.fill();
    assert_eq!(talk.kernel.count(Counter::UnframedLost), 0);
    talk.kernel.send(&talk.request(talk.at, b"5\r\nhello\r\n"));
    talk.at += 10;
    talk.drain();
    assert_eq!(talk.client(b"0\r\n\r\n"), []);
    assert_eq!(talk.client(GET), []);
    talk.service(b"HTTP/1.1 200 OK\r\n\r\n");
    let next = talk.at;
    let taken = talk.client(GET);
    assert_eq!((taken[0].start, taken[0].mark & (SAMPLED | LOST)), (next, SAMPLED | LOST));
}

/// A request that was exported is sent again together with the next, and only that finds no room.
#[test]
fn a_request_that_arrived_is_not_counted_as_lost_when_it_is_sent_again() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    assert_eq!(brief(&talk.client(GET)), [(0, SAMPLED, GET.len())]);
    talk.fill();
    let before = talk.kernel.count(Counter::RequestsLost);
    talk.kernel.send(&talk.request(0, &[GET, GET].concat()));
    assert_eq!(talk.kernel.count(Counter::RequestsLost) - before, 0);
    assert!(talk.kernel.counters().is_balanced());
}

/// The end of a body that is not in the sample, and a request that is, share a segment that finds no room.
#[test]
fn a_request_that_begins_within_a_lost_segment_is_counted() {
    let Some(mut talk) = Talk::opened("0%") else { return };
    talk.client(b"POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234");
    talk.kernel.programs.control.set_rate("100%".parse().unwrap()).unwrap();
    talk.fill();
    let lost = |talk: &Talk| [Counter::RequestsLost, Counter::UnframedLost].map(|of| talk.kernel.count(of));
    let before = lost(&talk);
    talk.kernel.send(&talk.request(talk.at, &[b"56789", GET].concat()));
    assert_eq!(lost(&talk), before.map(|count| count + 1));
    assert!(talk.kernel.counters().is_balanced());
}

/// What goes on behind a request that lost a part is another run, which that request is none of.
#[test]
fn a_run_is_not_opened_on_a_request_that_lost_a_part() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(b"POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n");
    talk.fill();
    talk.kernel.send(&talk.request(talk.at, b"0123456789"));
    talk.at += 10;
    talk.drain();
    let next = talk.at + 10;
    let both = [b"0123456789", GET].concat();
    assert_eq!(brief(&talk.client(&both)), [(next, SAMPLED | OPEN | LOST, both.len())]);
    // That one is whole: so far it lost nothing.
    assert_eq!(brief(&talk.client(GET)), [(next, SAMPLED | OPEN, GET.len())]);
}

/// Lost requests are counted once, and apart where nobody framed them; what is outside the sample isn't.
#[test]
fn lost_starts_are_counted_by_kind() {
    const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (request, rate, lost, unframed) in
        [(GET, "100%", 1, 0), (CHUNKED, "100%", 1, 1), (CHUNKED, "0.000001%", 0, 0)]
    {
        let Some(mut talk) = Talk::opened("100%") else { return };
        talk.client(GET);
        talk.fill();
        let counts = |talk: &Talk| {
            [Counter::RequestsLost, Counter::UnframedLost].map(|counter| talk.kernel.count(counter))
        };
        let before = counts(&talk);
        talk.kernel.programs.control.set_rate(rate.parse().unwrap()).unwrap();
        for _ in 0..2 {
            talk.kernel.send(&talk.request(talk.at, request));
        }
        let after = counts(&talk);
        assert_eq!([after[0] - before[0], after[1] - before[1]], [lost, unframed], "{rate}");
        assert!(talk.kernel.counters().is_balanced());
    }
}

/// A run that opens behind its first segment has begun: what is sent again of it and lost is no lost request.
#[test]
fn a_request_that_was_exported_is_not_lost_again() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let head = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
    talk.client(head);
    let both = [b"01234", GET].concat();
    assert_eq!(brief(&talk.client(&both)), [(0, SAMPLED | OPEN, both.len())]);
    talk.fill();
    let before = talk.losses();
    talk.kernel.send(&talk.request(0, head));
    assert_eq!(talk.losses(), [before[0] + 1, before[1]]);
}

/// Of a run that begins behind a hole the agent has heard, and owes its first request an outcome.
#[test]
fn a_run_that_the_agent_has_heard_of_is_not_lost_from_its_beginning() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    talk.client(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
    talk.fill();
    talk.kernel.send(&talk.request(talk.at, b"0123456789"));
    talk.drain();
    let start = talk.at + 10;
    assert_eq!(brief(&talk.client_at(start + 3, &GET[3..])), [(start, SAMPLED | OPEN | LOST, GET.len() - 3)]);
    talk.fill();
    let before = talk.losses();
    talk.kernel.send(&talk.request(start, b"GET"));
    assert_eq!(talk.losses(), [before[0] + 1, before[1]]);
}

/// Without the reader's help, and right when nothing comes.
#[test]
fn the_ring_says_how_full_it_is() {
    let Some(mut talk) = Talk::opened("100%") else { return };
    let fill = |talk: &Talk| talk.kernel.programs.control.ring_fill().unwrap();
    assert_eq!((fill(&talk).used, fill(&talk).size), (0, 1 << 20));
    talk.kernel.send(&talk.request(0, GET));
    // A record of the class of 440 bytes, with its header, and the ring's own.
    assert_eq!(fill(&talk).used, 440 + 72 + 8);
    talk.fill();
    let full = fill(&talk);
    assert!(full.used > full.size - (4096 + 72 + 8) && full.used <= full.size, "{full:?}");
    assert!(talk.kernel.record(|_| ()).is_some());
    assert_eq!(fill(&talk).used, full.used - (440 + 72 + 8));
    talk.drain();
    assert_eq!(fill(&talk).used, 0);
}
