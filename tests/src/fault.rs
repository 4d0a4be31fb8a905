//! What can be wrong with v2, each for a test or a benchmark to put in v2's place.
//!
//! [`server`] is the part that listens; the rest is how the network or the name server fails.

pub mod server;

use std::{net::SocketAddr, path::Path};

use anyhow::Result;

use crate::{
    child::Child,
    dns::{Answers, NameServer},
    lab::{Family, Lab},
    scene,
};
use server::Behaviour;

/// v2's port where a fault has one of its own: v2 itself may run beside it.
const FAULTY_PORT: u16 = 8099;
/// An address of v2's network that takes packets and never answers.
const BLACK_HOLE: &str = "10.78.0.9";

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens.
    Refuses,
    /// Connections are accepted and reset at once.
    Resets,
    /// Packets vanish.
    BlackHole,
    /// Connections are accepted, and that is all.
    NeverAnswers,
    /// Answers come one byte a second.
    Drips,
    /// The connection is reset amid the answer.
    ResetsInMidResponse,
    /// The answer's body doesn't end.
    Endless,
    /// What comes isn't HTTP.
    Garbage,
    /// Each answer comes after 1,000 ms.
    Late,
    /// The answer comes before the body is read, and the connection ends.
    AnswersEarly,
    /// The TLS handshake gets no answer.
    TlsHangs,
    /// The name server answers that it has failed.
    DnsFails,
    /// The name server doesn't answer.
    DnsHangs,
}

/// A fault in place; gone when dropped.
#[derive(Debug)]
pub struct Placed {
    /// Where the agent is to send copies.
    pub url: String,
    _server: Option<Child>,
    _names: Option<NameServer>,
}

impl Placed {
    /// No fault: v2 itself.
    #[must_use]
    pub fn well(lab: &Lab) -> Self {
        Self::at(format!("http://{}", lab.v2_address(Family::V4)))
    }

    const fn at(url: String) -> Self {
        Self { url, _server: None, _names: None }
    }

    /// A configuration of the agent that copies everything there, each copy with this time.
    #[must_use]
    pub fn config(&self, timeout: &str) -> String {
        let tls = if self.url.starts_with("https") { ", tls: { insecure: true }" } else { "" };
        format!(
            "upstreams:\n  v2: {{ url: '{}', timeout: {timeout}{tls} }}\n\
             routes:\n  - shadow: {{ upstream: v2 }}\ngrace: 1s\n",
            self.url
        )
    }
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::Refuses,
        Self::Resets,
        Self::BlackHole,
        Self::NeverAnswers,
        Self::Drips,
        Self::ResetsInMidResponse,
        Self::Endless,
        Self::Garbage,
        Self::Late,
        Self::AnswersEarly,
        Self::TlsHangs,
        Self::DnsFails,
        Self::DnsHangs,
    ];

    /// What reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Resets => "accepts and resets",
            Self::BlackHole => "black hole",
            Self::NeverAnswers => "never answers",
            Self::Drips => "one byte a second",
            Self::ResetsInMidResponse => "resets in mid-response",
            Self::Endless => "endless body",
            Self::Garbage => "garbage",
            Self::Late => "1,000 ms late",
            Self::AnswersEarly => "answers early, closes",
            Self::TlsHangs => "TLS handshake hangs",
            Self::DnsFails => "DNS fails",
            Self::DnsHangs => "DNS hangs",
        }
    }

    /// Puts it in v2's place; the agent must start afterwards.
    ///
    /// # Errors
    /// A server doesn't start, or `ip` fails.
    pub fn place(self, lab: &Lab, shadow_lab: &Path) -> Result<Placed> {
        let address = SocketAddr::new(lab.v2_address(Family::V4).ip(), FAULTY_PORT);
        let named = |answers| -> Result<Placed> {
            let names = NameServer::start(lab, shadow_lab, answers, &[])?;
            Ok(Placed { _names: Some(names), ..Placed::at(format!("http://v2.test:{FAULTY_PORT}")) })
        };
        let serving = |behaviour, scheme: &str| -> Result<Placed> {
            let server = server::start(lab, shadow_lab, address, behaviour)?;
            Ok(Placed { _server: Some(server), ..Placed::at(format!("{scheme}://{address}")) })
        };
        match self {
            Self::Refuses => Ok(Placed::at(format!("http://{address}"))),
            Self::BlackHole => {
                black_hole(lab).map(|()| Placed::at(format!("http://{BLACK_HOLE}:{FAULTY_PORT}")))
            }
            Self::Late => {
                let late = scene::serve(lab, &lab.v2, shadow_lab, &[address], &["--delay-ms", "1000"])?;
                Ok(Placed { _server: Some(late), ..Placed::at(format!("http://{address}")) })
            }
            Self::DnsFails => named(Answers::Failure),
            Self::DnsHangs => named(Answers::Silence),
            Self::TlsHangs => serving(Behaviour::Silent, "https"),
            Self::NeverAnswers => serving(Behaviour::Silent, "http"),
            Self::Resets => serving(Behaviour::Reset, "http"),
            Self::Drips => serving(Behaviour::Drip, "http"),
            Self::ResetsInMidResponse => serving(Behaviour::ResetInMidResponse, "http"),
            Self::Endless => serving(Behaviour::Endless, "http"),
            Self::Garbage => serving(Behaviour::Garbage, "http"),
            Self::AnswersEarly => serving(Behaviour::Early, "http"),
        }
    }
}

/// The neighbour is known, so packets are sent; it has an Ethernet address that nobody has.
fn black_hole(lab: &Lab) -> Result<()> {
    lab.gateway
        .ip(&[&format!("neighbour replace {BLACK_HOLE} lladdr 02:00:00:00:00:99 nud permanent dev up0")])
}
