//! The copy: Host rules, the HTTP client towards v2, its limits.
