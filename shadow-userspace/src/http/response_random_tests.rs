//! Random responses, well-formed and mutated, in random cuts.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// A response as generated: what it answers, its bytes, and what must be told of it.
#[derive(Clone, Debug)]
struct Answer {
    to: ResponseTo,
    bytes: Vec<u8>,
    events: Vec<String>,
}

impl Answer {
    fn new(to: ResponseTo, status: u16, lines: &str) -> Self {
        let bytes = format!("HTTP/1.1 {status} Reason\r\nA: b\r\n{lines}\r\n").into_bytes();
        Self { to, bytes, events: vec![status.to_string()] }
    }

    fn with_body(mut self, body: &[u8], coded: &[u8]) -> Self {
        self.bytes.extend(coded);
        self.events.extend((!body.is_empty()).then(|| body.escape_ascii().to_string()));
        self.end()
    }

    fn end(mut self) -> Self {
        self.events.push("end".to_owned());
        self
    }

    fn behind_interim(mut self, count: usize) -> Self {
        let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
        self.bytes.splice(0..0, interim);
        self.events.splice(0..0, vec!["interim 103".to_owned(); count]);
        self
    }
}

/// `body` in chunks of this size.
fn in_chunks(body: &[u8], size: usize) -> Vec<u8> {
    let chunk = |chunk: &[u8]| [format!("{:X};e=1\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    let mut coded: Vec<u8> = body.chunks(size).flat_map(chunk).collect();
    coded.extend(b"0\r\n\r\n");
    coded
}

/// A well-formed response behind which another may come.
fn answer() -> impl Strategy<Value = Answer> {
    use ResponseTo::{Connect, Head, Other, Upgrade};
    let to = || prop_oneof![Just(Connect), Just(Other), Just(Upgrade)];
    let with_length = (to(), vec(any::<u8>(), 0..60)).prop_map(|(to, body)| {
        Answer::new(to, 404, &format!("Content-Length: {}\r\n", body.len())).with_body(&body, &body)
    });
    let chunked = (to(), vec(any::<u8>(), 0..60), 1..30_usize).prop_map(|(to, body, size)| {
        Answer::new(to, 500, "Transfer-Encoding: chunked\r\n").with_body(&body, &in_chunks(&body, size))
    });
    let lines = prop_oneof![Just(""), Just("Content-Length: 7\r\n"), Just("Transfer-Encoding: chunked\r\n")];
    let to_head = (lines.clone(), 200..600_u16)
        .prop_filter("no body to announce", |(lines, status)| *status != 204 || lines.is_empty())
        .prop_map(|(lines, status)| Answer::new(Head, status, lines).end());
    let bodiless = (prop_oneof![Just(Other), Just(Upgrade)], lines).prop_flat_map(|(to, lines)| {
        prop_oneof![Just(Answer::new(to, 304, lines).end()), Just(Answer::new(to, 204, "").end())]
    });
    let any = prop_oneof![3 => with_length, 3 => chunked, 1 => to_head, 1 => bodiless];
    (any, prop_oneof![5 => Just(0), 1 => 1..3_usize])
        .prop_map(|(answer, interim)| answer.behind_interim(interim))
}

/// The last response of a connection.
fn last() -> impl Strategy<Value = Answer> {
    use ResponseTo::{Connect, Other, Upgrade};
    let tunnel = |mut answer: Answer| {
        answer.bytes.extend(b"\0HTTP/1.1 200 OK\r\n\r\n");
        answer.events.push("tunnel".to_owned());
        answer
    };
    prop_oneof![
        vec(any::<u8>(), 0..60).prop_map(|body| Answer::new(Other, 200, "").with_body(&body, &body)),
        vec(any::<u8>(), 0..60).prop_map(|after| {
            let mut answer = Answer::new(Other, 200, "Connection: close\r\nContent-Length: 0\r\n").end();
            answer.bytes.extend(after);
            answer
        }),
        Just(tunnel(Answer::new(Connect, 200, ""))),
        Just(tunnel(Answer::new(Upgrade, 101, "Upgrade: a\r\n"))),
    ]
}

fn parts<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

proptest! {
    /// Well-formed responses come out as they went in, all of them, under any cuts.
    #[test]
    fn well_formed_responses_are_all_found(
        mut answers in vec(answer(), 0..6),
        last in last(),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        answers.push(last);
        let requests: Vec<ResponseTo> = answers.iter().map(|answer| answer.to).collect();
        let input: Vec<u8> = answers.iter().flat_map(|answer| answer.bytes.clone()).collect();
        let expected: Vec<String> = answers.into_iter().flat_map(|answer| answer.events).collect();
        let run = Run::of(DecoderLimits::default(), &requests, parts(&input, &cuts));
        prop_assert_eq!(run.finish(), expected);
    }

    #[test]
    fn events_do_not_depend_on_the_cut(
        mut answers in vec(answer(), 1..4),
        last in prop::option::of(last()),
        changes in vec((any::<Index>(), 0..4_u8, mutant()), 0..3),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        answers.extend(last);
        let requests: Vec<ResponseTo> = answers.iter().map(|answer| answer.to).collect();
        let mut input: Vec<u8> = answers.iter().flat_map(|answer| answer.bytes.clone()).collect();
        for (place, kind, byte) in &changes {
            let place = place.index(input.len());
            match kind {
                0 => drop(input.remove(place)),
                1 => input.insert(place, *byte),
                _ => input[place] = *byte,
            }
        }
        let limits = DecoderLimits::default();
        let whole = Run::of(limits, &requests, [&input[..]]);
        let cut = Run::of(limits, &requests, parts(&input, &cuts));
        prop_assert_eq!(whole.decoder.bytes_after_last(), cut.decoder.bytes_after_last());
        prop_assert_eq!(whole.finish(), cut.finish());
    }
}

fn mutant() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), proptest::sample::select(&b"\r\n :,;0159aHTc"[..])]
}
