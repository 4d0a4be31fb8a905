//! Whose rate is changed: takes `ROUTE` or `ROUTE/UPSTREAM` as users write it, says what is wrong with it.

/// Nothing has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateTargetError {
    /// No route is called so, and none whose name stands before a slash.
    #[error("there is no route {given:?}{}; {}", hint(.nearest.as_ref()), list("route", .known))]
    Route {
        /// What was given.
        given: String,
        /// The route whose name is most like it.
        nearest: Option<String>,
        /// All routes.
        known: Vec<String>,
    },
    /// The route has no such upstream.
    #[error("route {route:?} has no upstream {given:?}{}; {}", hint(.nearest.as_ref()), list("upstream", .known))]
    Upstream {
        /// The route.
        route: String,
        /// What was given.
        given: String,
        /// The upstream whose name is most like it.
        nearest: Option<String>,
        /// All upstreams of the route.
        known: Vec<String>,
    },
}

impl RateTargetError {
    pub(super) fn route<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.map(str::to_owned).collect();
        // With the upstream's name behind it the route's may still be near.
        let name = given.split('/').next().unwrap_or(given);
        let nearest = nearest(given, &known).or_else(|| nearest(name, &known));
        Self::Route { given: given.to_owned(), nearest, known }
    }

    pub(super) fn upstream<'a>(route: &str, given: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.map(str::to_owned).collect();
        let nearest = nearest(given, &known);
        Self::Upstream { route: route.to_owned(), given: given.to_owned(), nearest, known }
    }
}

/// The name most like `given`, if it is like it at all.
fn nearest(given: &str, known: &[String]) -> Option<String> {
    const LIKE: f64 = 0.7;
    let likeness = |name: &&String| strsim::jaro_winkler(given, name);
    let best = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&best) >= LIKE).then(|| best.clone())
}

fn hint(nearest: Option<&String>) -> String {
    nearest.map(|name| format!(", perhaps {name:?}")).unwrap_or_default()
}

/// The first of the names, and how many more there are.
fn list(kind: &str, known: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = known.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    match known.len().saturating_sub(SHOWN) {
        _ if known.is_empty() => format!("there is no {kind}"),
        0 => format!("{kind}s are {}", shown.join(", ")),
        more => format!("{kind}s are {} and {more} more", shown.join(", ")),
    }
}
