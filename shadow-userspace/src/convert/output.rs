//! The configuration that is written: the keys of the agent's file that mirror rules need.

use std::collections::BTreeMap;

use serde::Serialize;

/// The file.
#[derive(Debug, Default, Serialize)]
pub(super) struct Output {
    pub(super) upstreams: BTreeMap<String, Upstream>,
    pub(super) routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Upstream {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Tls {
    pub(super) server_name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Route {
    pub(super) name: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub(super) matches: Vec<Match>,
    /// Empty: what matches isn't mirrored, and no later route is asked.
    pub(super) shadow: Vec<Shadow>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Match {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Path>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<Named>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) query: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Path {
    Prefix(String),
    Exact(String),
    Regex(String),
}

/// A condition on a header or a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Named {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) value: Condition,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) invert: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Condition {
    Exact(String),
    Prefix(String),
    Regex(String),
    Present(bool),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Shadow {
    pub(super) upstream: String,
    pub(super) percentage: Percentage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host_rewrite: Option<String>,
    #[serde(skip_serializing_if = "Mutations::is_empty")]
    pub(super) headers: Mutations,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path_rewrite: Option<PathRewrite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Percentage {
    /// Whole ones are written as such.
    Whole(u64),
    Decimal(f64),
    Fraction {
        numerator: u64,
        denominator: u64,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Mutations {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) set: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) add: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) remove: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum PathRewrite {
    Prefix { prefix: String },
    Regex { regex: String, substitution: String },
}

impl Mutations {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

impl Percentage {
    /// None unless it is from 0 to 100.
    pub(super) fn new(percent: f64) -> Option<Self> {
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        let whole = percent.trunc();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
        let is_whole = if (whole - percent).abs() < f64::EPSILON { Some(whole as u64) } else { None };
        Some(is_whole.map_or(Self::Decimal(percent), Self::Whole))
    }
}

impl Output {
    /// As the agent reads it.
    pub(super) fn to_yaml(&self) -> String {
        // Texts, numbers and lists under text keys: nothing that YAML can't say.
        serde_saphyr::to_string(self).unwrap_or_default()
    }
}
