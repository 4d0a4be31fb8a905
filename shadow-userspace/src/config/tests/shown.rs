//! What `check` prints.

use super::{load, maximal};
use crate::config::show;

#[test]
fn a_small_file_is_shown_in_few_lines() {
    let text = "
upstreams: {v2: {url: http://petstore-v2:8080, timeout: 500ms}}
routes:
- name: pets
  match: {hosts: ['*.example.com'], path: {prefix: /pets}, headers: [{name: x-a, exact: b}]}
  sample_by: connection
  shadow: {upstream: v2, percentage: 12.5}
- shadow: [{upstream: http://b, host_suffix: ''}]
";
    let expected = "\
capture: what --interface says; port what --port says
upstream v2 is http://petstore-v2:8080; timeout 500ms
upstream http://b

route pets
  matches host *.example.com and path /pets... and header x-a is \"b\"
  all requests of a connection, or none
  copies 12.5% to v2

route route-2
  matches everything
  copies 100% to http://b; host as it is

the kernel samples 100% of the requests
never copied: requests with x-shadow-copy, or for a host that ends in -shadow
";
    assert_eq!(show::text(&load(text).unwrap()), expected);
}

#[test]
fn everything_that_is_set_is_shown() {
    let shown = show::text(&load(maximal::FILE).unwrap());
    for words in [
        "capture: eth1, eth0; port 8080, 9090",
        "upstream v2 is https://petstore-v2:8443; timeout 9s, connect_timeout 1s, idle_timeout 3s, dns_refresh 60s, \
         max_response 1MiB, max_in_flight 5, max_queue 0, max_queue_bytes 2MiB, max_rps 1000, \
         breaker after 3 failures for 7s, order per_connection, stream_above 64KiB, stream_buffer 1MiB, \
         ca_file /etc/ca.pem, server_name petstore",
        "  or path /pets\n",
        "header x-b is not there and header x-c is not ~ v[12] and query debug is \"t\"...",
        "  all requests with the same cookie session, or none",
        "  copies 0.01% to v2; host v2.internal:8080, adds x-tag, sets x-env, removes x-internal, \
         path /pets... becomes /v2..., only GET, timeout 5s, max_body 1MiB, max_in_flight 100",
        "  matches path ~ /a|/ab and query q is ~ x+",
        "route quiet\n  matches everything\n  copies nothing",
        "never copied: requests with x-copy, or for a host that ends in -dark",
        "redacted: header authorization, cookie session, query token, JSON /a~1b, JSON /c",
    ] {
        assert!(shown.contains(words), "{words}\nis not in\n{shown}");
    }
}
