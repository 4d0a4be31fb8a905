//! Mirror rules of Gloo, Istio and the Gateway API: takes their documents, gives a configuration file of the agent's own.
//!
//! [`document`] reads them so that nothing is overlooked: what no converter took is noted, by its path. [`gloo`],
//! [`istio`] and [`gateway_api`] each make [`vhosts`] of them, whose routes come out in the order in which those gateways
//! would look at them. [`output`] is what is written.
//!
//! A condition that can't be carried over would mirror more than was asked for. So a rule with one mirrors nothing, and
//! what it may match isn't left to later rules, which may mirror.

mod document;
mod gateway_api;
mod gloo;
mod istio;
mod output;
mod value;
mod vhosts;

use std::fmt;

use document::Documents;
use vhosts::Vhosts;

/// A configuration made of foreign documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The agent's configuration, as YAML.
    pub yaml: String,
    /// What was not carried over, or was guessed.
    pub notes: Vec<Note>,
}

/// What a person should know about a place of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which document, and where in it.
    pub place: String,
    /// What became of it.
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why nothing could be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// No YAML.
    #[error("{0}")]
    Yaml(String),
    /// Something else beside Kubernetes documents: what it says would be lost.
    #[error(
        "document {0} has no apiVersion and kind: a configuration of the agent's own stands in a file alone"
    )]
    Mixed(usize),
    /// No document of a kind that has mirror rules.
    #[error(
        "no document with mirror rules: give a Gloo VirtualService, an Istio VirtualService or a Gateway API HTTPRoute"
    )]
    NothingKnown,
    /// None of its rules mirrors.
    #[error("no rule in it mirrors anything that could be carried over")]
    NothingMirrored {
        /// Why.
        notes: Vec<Note>,
    },
}

/// Whether `text` has a Kubernetes document, and is no configuration of the agent's own.
#[must_use]
pub fn is_foreign(text: &str) -> bool {
    Documents::read(text).is_ok_and(|documents| documents.any())
}

/// Converts the documents of `text`.
///
/// # Errors
/// If it is no YAML, or nothing in it mirrors.
pub fn convert(text: &str) -> Result<Converted, ConvertError> {
    let mut documents = Documents::read(text)?;
    if let (true, Some(number)) = (documents.any(), documents.other()) {
        return Err(ConvertError::Mixed(number));
    }
    let mut vhosts = Vhosts::default();
    let mut known = gloo::convert(&mut documents, &mut vhosts);
    known |= istio::convert(&mut documents, &mut vhosts);
    known |= gateway_api::convert(&mut documents, &mut vhosts);
    let notes = documents.into_notes();
    if !known {
        return Err(ConvertError::NothingKnown);
    }
    let Some(output) = vhosts.into_output() else { return Err(ConvertError::NothingMirrored { notes }) };
    Ok(Converted { yaml: output.to_yaml(), notes })
}

#[cfg(test)]
mod never_more;
#[cfg(test)]
mod tests;
