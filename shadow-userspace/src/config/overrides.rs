//! What the command line says beside a file: every value that it has replaces the file's.

use crate::config::file::{Document, Fault, model::Defaults};

/// In the file's own terms. A limit in `defaults` replaces that of every upstream and of every route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(pub Document);

/// `to.key = from.key` for what `from` has.
macro_rules! replace {
    ($to:expr, $from:expr, $($key:ident)*) => { $(
        if $from.$key != Default::default() {
            $to.$key.clone_from(&$from.$key);
        }
    )* };
}

/// What `from` has is taken out of `to`.
macro_rules! forget {
    ($to:expr, $from:expr, $($key:ident)*) => { $(
        if $from.$key != Default::default() {
            $to.$key = Default::default();
        }
    )* };
}

impl Overrides {
    /// Replaces what the file says.
    pub(super) fn apply(&self, document: &mut Document) -> Result<(), Fault> {
        let Self(said) = self;
        if !said.routes.0.is_empty() && !document.routes.0.is_empty() {
            let message = "the file has routes, so --shadow, --sample-rate and --sample-by have none to be for: leave \
                           them out, or the routes";
            return Err(Fault::new("routes", message));
        }
        replace!(document.capture, said.capture, interfaces netns ports attach ring_size only_new_connections);
        replace!(document.capture, said.capture, max_flows max_memory);
        replace!(document, said, routes loop_header safe_methods_only grace summary log);
        replace!(document.admin, said.admin, listen socket token_file);
        document.upstreams.0.retain(|(name, _)| said.upstreams.0.iter().all(|(other, _)| name != other));
        document.upstreams.0.extend(said.upstreams.0.iter().cloned());
        limits(document, &said.defaults);
        Ok(())
    }
}

/// Those that a flag names are the same everywhere.
fn limits(document: &mut Document, said: &Defaults) {
    replace!(document.defaults, said, timeout max_in_flight max_queue max_rps host_suffix max_body);
    for (_, upstream) in &mut document.upstreams.0 {
        forget!(upstream, said, timeout max_in_flight max_queue max_rps);
    }
    for shadow in
        document.routes.0.iter_mut().filter_map(|route| route.shadow.as_mut()).flat_map(|list| &mut list.0)
    {
        forget!(shadow, said, timeout max_in_flight host_suffix max_body);
    }
}
