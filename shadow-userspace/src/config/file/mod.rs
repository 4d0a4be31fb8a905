//! The configuration file: takes YAML, gives a [`Document`], or one line that says where which key is wrong.
//!
//! What exists as a [`Document`] has the right keys in the right places; what its values mean is checked later, so that
//! all mistakes among them are told at once. It is written as YAML by the same model.

mod de;
mod fault;
pub mod model;
mod node;
mod values;

pub(in crate::config) use fault::{Fault, nearest};
pub use model::Document;
pub(in crate::config) use node::{MAX_BYTES, Node};
pub use values::{Either, Entries, HeaderChange, HeaderChanges, List, Scalar};
