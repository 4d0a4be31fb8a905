//! What of a configuration can change while the agent runs: takes the one at work and another, says what stands in the
//! way. A file that can't take effect as a whole is refused as a whole.

use crate::config::{CaptureConfig, Config};

/// What `next` has that only a restart brings about, in a line; none: it can run now.
pub(super) fn needs_restart(now: &Config, next: &Config) -> Option<String> {
    let mut reasons = Vec::new();
    let CaptureConfig {
        interfaces,
        netns,
        // Changes live.
        ports: _,
        attach,
        ring_bytes,
        only_new,
        max_flows,
        max_memory,
    } = &next.capture;
    let added = interfaces.iter().filter(|name| !now.capture.interfaces.contains(name));
    reasons.extend(added.map(|name| format!("restart to attach {name}")));
    let removed = now.capture.interfaces.iter().filter(|name| !interfaces.contains(name));
    reasons.extend(removed.map(|name| format!("restart to detach {name}")));
    let keys = [
        ("capture.netns", *netns != now.capture.netns),
        ("capture.attach", *attach != now.capture.attach),
        ("capture.ring_size", *ring_bytes != now.capture.ring_bytes),
        ("capture.only_new_connections", *only_new != now.capture.only_new),
        ("capture.max_flows", *max_flows != now.capture.max_flows),
        ("capture.max_memory", *max_memory != now.capture.max_memory),
        ("admin", next.admin != now.admin),
    ];
    let changed = keys.into_iter().filter(|(_, differs)| *differs);
    reasons.extend(changed.map(|(key, _)| format!("restart to change {key}")));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        capture::AttachMode,
        config::AdminSocket,
        shadow::testing::{config_to, upstream},
    };

    #[test]
    fn what_only_a_restart_changes_is_said_and_all_else_runs() {
        let mut now = config_to(upstream("v2", "http://v2".parse().unwrap()));
        now.capture.interfaces = vec!["eth0".to_owned()];
        let told = |change: fn(&mut Config)| {
            let mut next = now.clone();
            change(&mut next);
            needs_restart(&now, &next).unwrap_or_default()
        };
        type Change = fn(&mut Config);
        let cases: &[(Change, &str)] = &[
            (|_| {}, ""),
            (|next| next.capture.ports = vec![81, 82], ""),
            (|next| next.routes.clear(), ""),
            (|next| next.upstreams.clear(), ""),
            (|next| next.grace = Duration::ZERO, ""),
            (|next| next.loop_guard.suffixes.clear(), ""),
            (|next| next.capture.interfaces.push("eth1".to_owned()), "restart to attach eth1"),
            (|next| next.capture.interfaces.clear(), "restart to detach eth0"),
            (|next| next.capture.netns = Some("/run/netns/x".into()), "restart to change capture.netns"),
            (|next| next.capture.attach = AttachMode::Tc, "restart to change capture.attach"),
            (|next| next.capture.ring_bytes *= 2, "restart to change capture.ring_size"),
            (|next| next.capture.only_new = true, "restart to change capture.only_new_connections"),
            (|next| next.capture.max_flows += 1, "restart to change capture.max_flows"),
            (|next| next.capture.max_memory += 1, "restart to change capture.max_memory"),
            (|next| next.admin.socket = AdminSocket::Off, "restart to change admin"),
            (
                |next| {
                    next.capture.interfaces = vec!["eth1".to_owned()];
                    next.capture.ring_bytes *= 2;
                },
                "restart to attach eth1; restart to detach eth0; restart to change capture.ring_size",
            ),
        ];
        for (change, line) in cases {
            assert_eq!(told(*change), *line);
        }
    }
}
