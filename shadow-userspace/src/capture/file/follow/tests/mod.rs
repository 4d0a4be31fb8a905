//! Packets in, runs out: each rule of following a connection.
//!
//! A step is what a packet is, and what becomes of it: `-` if it is left, `begins` if a SYN comes first, else where its
//! run begins and its marks by their first letters. Places are offsets of the client's and the service's streams, which
//! wrap soon after their beginning.

mod anew;
mod life;
mod midlife;
mod model;
mod resets;
mod terms;

use shadow_common::{
    Resync, marks,
    tcp_flags::{FIN, PSH},
};

use super::*;
use crate::capture::file::packet::Endpoint;

const CLIENT: Endpoint = Endpoint { addr: [1; 16], port: 40_000 };
const SERVICE: Endpoint = Endpoint { addr: [2; 16], port: 80 };

/// The first bytes of the client's and the service's streams.
const FIRST: u32 = u32::MAX - 9;
const ANSWER: u32 = u32::MAX - 5;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const RST_ACK: u8 = RST | ACK;
const GET_LEN: u32 = GET.len() as u32;
const OK_LEN: u32 = OK.len() as u32;

struct Rig {
    follower: Follower,
    stats: FileStats,
}

impl Rig {
    fn new(ports: &[u16]) -> Self {
        Self { follower: Follower::new(ports, 100), stats: FileStats::default() }
    }

    fn packet(&mut self, packet: &Packet<'_>) -> String {
        match self.follower.decide(packet, &mut self.stats) {
            Verdict::Leave => "-".to_owned(),
            Verdict::Begins { run, isn, .. } => {
                assert_eq!(run.start, isn.wrapping_add(1));
                "begins".to_owned()
            }
            Verdict::Take { run: Run { mark: 0, .. }, .. } => "no run".to_owned(),
            Verdict::Take { flow, direction, run } => {
                let to_service = direction == Direction::ToService;
                let client = Endpoint { addr: flow.client_addr, port: flow.client_port };
                assert_eq!(client == packet.source, to_service);
                let letters = [
                    (marks::SAMPLED, 'S'),
                    (marks::OPEN, 'O'),
                    (marks::UNCONFIRMED, 'U'),
                    (marks::CONFIRMED, 'C'),
                    (marks::REFUTED, 'R'),
                ];
                let shown = letters.iter().filter(|(mark, _)| run.is(*mark)).map(|(_, letter)| letter);
                format!("{} {}", run.start.wrapping_sub(FIRST), shown.collect::<String>())
            }
        }
    }

    fn client(&mut self, seq: u32, ack: u32, payload: &[u8]) -> String {
        self.packet(&client(seq, ack, ACK | PSH, payload))
    }

    fn service(&mut self, seq: u32, ack: u32, payload: &[u8]) -> String {
        self.packet(&service(seq, ack, ACK | PSH, payload))
    }

    /// The connection begins: the client's SYN and the service's.
    fn connect(&mut self) -> &mut Self {
        assert_eq!(self.packet(&client(u32::MAX, 0, SYN, b"")), "0 SO");
        assert_eq!(self.packet(&service(u32::MAX, 0, SYN | ACK, b"")), "0 S");
        self
    }

    /// A request and its answer.
    fn exchange(&mut self) -> &mut Self {
        assert_eq!(self.client(0, 0, GET), "0 SO");
        assert_eq!(self.service(0, GET_LEN, OK), "0 S");
        self
    }

    fn tell(&mut self, run: u32, what: u32) {
        self.note(run, what, 0, false);
    }

    fn note(&mut self, run: u32, what: u32, next: u32, is_forgotten: bool) {
        let flow = FlowKey {
            client_addr: CLIENT.addr,
            service_addr: SERVICE.addr,
            client_port: CLIENT.port,
            service_port: SERVICE.port,
        };
        let resync = Resync { run: FIRST.wrapping_add(run), next: FIRST.wrapping_add(next), what };
        self.follower.tell(&Note { flow, resync, is_forgotten });
    }

    fn lose(&mut self) {
        self.tell(0, Resync::LOST);
    }
}

fn client(seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Packet<'_> {
    Packet {
        source: CLIENT,
        dest: SERVICE,
        seq: FIRST.wrapping_add(seq),
        ack: ANSWER.wrapping_add(ack),
        flags,
        payload_len: payload.len() as u32,
        payload,
        payload_at: 0,
    }
}

/// The same the other way.
fn turned(packet: Packet<'_>) -> Packet<'_> {
    Packet { source: packet.dest, dest: packet.source, ..packet }
}

fn service(seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Packet<'_> {
    let (seq, ack) = (ANSWER.wrapping_add(seq), FIRST.wrapping_add(ack));
    Packet { source: SERVICE, dest: CLIENT, seq, ack, ..client(0, 0, flags, payload) }
}
