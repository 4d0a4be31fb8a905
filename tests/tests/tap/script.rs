//! What the tests on built captures share: one conversation with a bit of everything, and what `tap` says of a capture.

use std::path::PathBuf;

use shadow_tests::{
    packets::{
        Conversation, Ends, Exchange, Format, Packet, Reply, file,
        message::{get, post, post_chunked},
    },
    random::Random,
    tap::{Listed, directory, list, save},
};
use tempfile::TempDir;

/// A capture file and the directory that it lies in.
pub struct Capture {
    pub path: PathBuf,
    /// Keeps the file.
    _directory: TempDir,
}

impl Capture {
    pub fn of(bytes: &[u8]) -> Self {
        let directory = directory().unwrap();
        let path = save(&directory, "capture.pcap", bytes).unwrap();
        Self { path, _directory: directory }
    }

    pub fn of_packets(packets: &[Packet]) -> Self {
        Self::of(&file::bytes(packets, Format::default()))
    }

    /// What `tap` lists of it.
    pub fn list(&self) -> Vec<Listed> {
        list(&self.path, &["--show-secrets"]).unwrap()
    }
}

/// What `tap` lists of these packets.
pub fn listed(packets: &[Packet]) -> Vec<Listed> {
    Capture::of_packets(packets).list()
}

/// Five requests on a kept connection, `/0` to `/4` below `prefix`: GET, POST with a length, POST in chunks, GET, GET.
/// The bodies are of several segments, and so are the answers to `/0` and `/1`.
pub fn exchanges(talk: &mut Conversation, prefix: &str) {
    let mut random = Random::new(u64::from(talk.ends.client.port()));
    let target = |number: u32| format!("{prefix}/{number}");
    talk.exchange(get(&target(0)), Reply::ok(random.bytes(5_000)));
    talk.exchange(post(&target(1), random.bytes(9_000)), Reply::ok(random.bytes(5_000)));
    talk.exchange(post_chunked(&target(2), random.bytes(9_000)), Reply::ok(&b"two"[..]));
    talk.exchange(get(&target(3)), Reply::ok(&b"three"[..]));
    talk.exchange(get(&target(4)), Reply::ok(&b"four"[..]));
}

/// A whole conversation of [`exchanges`].
pub fn conversation(ends: Ends) -> Conversation {
    whole(Conversation::new(ends))
}

/// The same, of one that was prepared.
pub fn whole(mut talk: Conversation) -> Conversation {
    talk.open();
    exchanges(&mut talk, "");
    talk.close();
    talk
}

/// The exchange that a listed one is, if it is one of these and nothing in it differs: asserts that what is said to be
/// complete is right to the last byte, on both sides.
pub fn assert_true(listed: &Listed, exchange: &Exchange) {
    let Exchange { request, reply, .. } = exchange;
    assert_eq!(listed.method.as_deref(), Some(request.method.as_str()), "{listed:?}");
    assert_eq!(listed.authority.as_deref(), request.header("host"), "{listed:?}");
    if listed.is_complete() {
        let found = (listed.body_bytes, listed.body_sha256.clone());
        assert_eq!(found, of_body(&request.body), "{}", request.target);
    }
    if let Some(answer) = &listed.response {
        assert_eq!(answer.status, reply.status, "{}", request.target);
        if let Some(sha256) = &answer.body_sha256 {
            let found = (answer.body_bytes, Some(sha256.clone()));
            assert_eq!(found, of_body(reply.received_body()), "the answer to {}", request.target);
        }
    }
}

/// A body as a complete one is shown.
pub fn of_body(body: &[u8]) -> (u64, Option<String>) {
    (body.len() as u64, Some(shadow_tests::tap::sha256(body)))
}
