//! What hyper's errors mean for a copy: takes an error of an established connection, gives the reason that counts.

use std::{error::Error, io};

use crate::{ledger::FailReason, shadow::client::body::BodyAborted};

/// What an error on an established connection means. The innermost cause that says anything decides.
pub(in crate::shadow) fn of(error: &(dyn Error + 'static)) -> FailReason {
    let mut decided = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        decided = of_one(error).or(decided);
        cause = error.source();
    }
    decided.unwrap_or(FailReason::Protocol)
}

fn of_one(error: &(dyn Error + 'static)) -> Option<FailReason> {
    if error.is::<BodyAborted>() {
        return Some(FailReason::Reset);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    let error = error.downcast_ref::<io::Error>()?;
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return Some(FailReason::Tls);
    }
    // Bad chunk sizes come as InvalidInput or InvalidData; an end before the body's is UnexpectedEof.
    Some(match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => FailReason::Protocol,
        _ => FailReason::Reset,
    })
}

fn of_hyper(error: &hyper::Error) -> Option<FailReason> {
    let closed = error.is_canceled()
        || error.is_closed()
        || error.is_incomplete_message()
        || error.is_body_write_aborted();
    match () {
        () if error.is_parse() => Some(FailReason::Protocol),
        () if error.is_user() => Some(FailReason::Unsendable),
        () if closed => Some(FailReason::Reset),
        // Bytes that belong to no request.
        () if error.source().is_none() => Some(FailReason::Protocol),
        () => None,
    }
}
