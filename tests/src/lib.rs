//! shadow's lab: a client, a gateway and a second upstream in network namespaces of this machine, with real services
//! and load, to show and to test the agent on real packets.
//!
//! Read [`lab`] first, then [`service`] and [`load`], then [`scene`] and [`agent`]; [`compare`] is the judge, [`demo`] the
//! report. [`foreign`] and [`tunnel`] are what an agent may meet: programs of others, and devices without Ethernet.
//! [`fault`] is what can be wrong with v2, [`dns`] gives it a name, [`certificates`] are for one that speaks TLS.
//! [`mod@bench`] measures.
//!
//! Capture files: [`packets`] builds them with every fault that a capture may have, [`tshark`] says what others read in
//! them, [`tap`] what the agent does. [`tcpdump`] takes captures of real traffic.

pub mod agent;
pub mod attached;
pub mod bench;
pub mod certificates;
pub mod child;
pub mod compare;
pub mod demo;
pub mod dns;
pub mod fault;
pub mod fnv;
pub mod foreign;
pub mod interrupt;
pub mod lab;
pub mod load;
pub mod netns;
pub mod nginx;
pub mod packets;
pub mod plan;
pub mod random;
pub mod scene;
pub mod service;
pub mod tap;
pub mod tcpdump;
pub mod tshark;
pub mod tunnel;
