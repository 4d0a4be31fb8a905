//! The HTTP/1 decoders beside hyper, on the same bytes, generated and mutated. What a decoder calls complete, hyper
//! must have read alike; where hyper reads more, the decoder must have said that it stops, and hyper may read less only
//! for the reasons that stand in these tests.

mod messages;
mod requests;
mod responses;

use std::cell::RefCell;

use tokio::runtime::{Builder, Runtime};

/// What stands in a message; header names in lower case, fields in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    /// Method and target, or the status.
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Message {
    fn new<'a>(line: String, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let name = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let mut headers: Vec<_> = headers.map(|(given, value)| (name(given), value.to_vec())).collect();
        // Stable: fields of one name keep their order.
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { line, headers, body: Vec::new() }
    }
}

fn pairs(headers: &hyper::HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

/// Runs on this thread, so that a test's cases share one runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: RefCell<Runtime> =
            RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}
