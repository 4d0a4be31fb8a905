//! A client, a service that may answer early, and a capture with holes: no body byte is ever confirmed as a request.

use std::collections::HashSet;

use proptest::{collection::vec, prelude::*};

use super::*;

/// One exchange.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    /// Segments of the body, each of which reads as a request.
    body: usize,
    /// How many of them the service has when it answers; more than there are for all.
    answers_after: usize,
    /// Whether the service says first that it will go on.
    has_interim: bool,
    /// Whether the client sends the whole body before it looks for an answer.
    is_deaf: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    from_client: bool,
    seq: u32,
    ack: u32,
    payload: &'static [u8],
}

/// Everything that both send, in order, and where requests begin.
fn talk(exchanges: &[Exchange]) -> (Vec<Sent>, HashSet<u32>) {
    let (mut sent, mut starts) = (Vec::new(), HashSet::new());
    let (mut client, mut service, mut received) = (0, 0, 0);
    for exchange in exchanges {
        starts.insert(client);
        // As long as the body says it is.
        let head: &'static [u8] = match exchange.body {
            0 => GET,
            body => format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body * GET.len())
                .leak()
                .as_bytes(),
        };
        let answers_after = exchange.answers_after.min(exchange.body);
        for part in 0..=exchange.body {
            let payload = if part == 0 { head } else { GET };
            sent.push(Sent { from_client: true, seq: client, ack: received, payload });
            client += payload.len() as u32;
            let interim = (exchange.has_interim && part == 0).then_some(CONTINUE);
            let answer = (part == answers_after).then_some(OK);
            for payload in interim.into_iter().chain(answer) {
                sent.push(Sent { from_client: false, seq: service, ack: client, payload });
                service += payload.len() as u32;
            }
            received = if exchange.is_deaf { received } else { service };
        }
        received = service;
    }
    (sent, starts)
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (0..3_usize, 0..4_usize, any::<bool>(), any::<bool>()).prop_map(
        |(body, answers_after, has_interim, is_deaf)| Exchange { body, answers_after, has_interim, is_deaf },
    )
}

proptest! {
    #[test]
    fn what_is_confirmed_is_a_request(
        exchanges in vec(exchange(), 1..12),
        captured in vec(prop::sample::select(vec![true, true, true, false]), 100),
        lost in vec(prop::sample::select(vec![true, false, false]), 100),
        sees_syn in any::<bool>(),
    ) {
        let (sent, starts) = talk(&exchanges);
        let mut rig = Rig::new(&[80]);
        if sees_syn {
            rig.connect();
        }
        let mut run = None;
        for ((sent, captured), lost) in sent.iter().zip(captured.iter().cycle()).zip(lost.iter().cycle()) {
            if !captured {
                continue;
            }
            let Sent { from_client, seq, ack, payload } = *sent;
            let verdict = if from_client { rig.client(seq, ack, payload) } else { rig.service(seq, ack, payload) };
            if let Some((start, marks)) = verdict.split_once(' ') && let Ok(start) = start.parse::<u32>() {
                run = Some(start);
                if marks.contains('C') {
                    prop_assert!(starts.contains(&start), "{start} is in a body");
                }
            }
            // The pipeline may lose its place at any time.
            if let (true, Some(run)) = (lost, run) {
                rig.tell(run, Resync::LOST);
            }
        }
    }

    #[test]
    fn without_holes_every_place_is_found_again(exchanges in vec(exchange(), 2..12)) {
        // Whoever answers when all is there, and says so to a client that listens, is understood at once.
        let plain = |exchange: &Exchange| Exchange { answers_after: 9, has_interim: false, ..*exchange };
        let (sent, starts) = talk(&exchanges.iter().map(plain).collect::<Vec<_>>());
        let mut rig = Rig::new(&[80]);
        let mut found = HashSet::new();
        let mut run = 0;
        for Sent { from_client, seq, ack, payload } in sent {
            let verdict = if from_client { rig.client(seq, ack, payload) } else { rig.service(seq, ack, payload) };
            if let Some(start) = verdict.strip_suffix(" SC") {
                run = start.parse().unwrap();
                found.insert(run);
                rig.tell(run, Resync::LOST);
            }
        }
        // The first is met without anything that speaks for it.
        prop_assert_eq!(found.len() + 1, starts.len());
        prop_assert!(found.is_subset(&starts));
        prop_assert!(starts.iter().all(|start| *start <= run));
    }
}
