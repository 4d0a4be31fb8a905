//! `tap`'s arguments.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use shadow_common::SampleBy;

use crate::{
    capture::{LiveOptions, SampleRate},
    cli::{
        place::{Place, once_each, sorted},
        usage::UsageError,
        values,
    },
    random,
    tap::{Filter, HostPattern, Method, PathPrefix, Secrets, StatusRange, TapFormat, TapOptions, TapSource},
};

/// `tap`'s arguments.
#[derive(Debug, Args)]
pub(super) struct TapArgs {
    /// Capture file (pcap or pcapng) to read instead of an interface; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interfaces", "netns", "attach"])]
    pcap: Option<PathBuf>,

    /// Network interface that carries the requests, such as eth0; give it again for more interfaces
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,

    #[command(flatten)]
    place: Place,

    /// Service port (1 to 65535) whose exchanges are printed; give it again for more ports. With --pcap it may be left
    /// out: then every port counts whose stream begins like HTTP
    #[arg(long = "port", value_name = "P", value_parser = values::port)]
    ports: Vec<u16>,

    /// Only requests with this method, in any case; give it again for more
    #[arg(long = "method", value_name = "METHOD", help_heading = "Filters (all kinds given must fit)")]
    methods: Vec<Method>,

    /// Only requests whose path begins so, such as /api/ (as sent, without scheme and host); give it again for more
    #[arg(long = "path-prefix", value_name = "PREFIX", help_heading = "Filters (all kinds given must fit)")]
    path_prefixes: Vec<PathPrefix>,

    /// Only requests for this host, such as shop.example.com, or *.example.com for everything below it, on any port
    /// unless one is given; give it again for more
    #[arg(long = "host", value_name = "HOST", help_heading = "Filters (all kinds given must fit)")]
    hosts: Vec<HostPattern>,

    /// Only exchanges answered with this status: 200, 5xx, 400-499; give it again for more
    #[arg(long = "status", value_name = "STATUS", help_heading = "Filters (all kinds given must fit)")]
    statuses: Vec<StatusRange>,

    /// How exchanges are written on stdout: lines to read, a JSON object per line, or one HAR 1.2 document (without
    /// bodies)
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,

    /// Show what Authorization, Proxy-Authorization, Cookie and Set-Cookie hold, and user information in targets, and
    /// not ***
    #[arg(long)]
    show_secrets: bool,

    /// Stop after so many exchanges
    #[arg(long, value_name = "N", value_parser = values::count)]
    count: Option<u32>,

    /// Colours in lines to read: on a terminal unless NO_COLOR is set (auto), always or never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: When,

    /// Log level on stderr: off, error, warn, info, debug or trace [default: RUST_LOG, or info]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Har,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

impl TapArgs {
    /// `tap`'s options.
    pub(super) fn into_options(self) -> Result<TapOptions, UsageError> {
        let terminal = io::stdout().is_terminal();
        let colours = match self.color {
            When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
            When::Always => true,
            When::Never => false,
        };
        let format = match self.format {
            Format::Text => TapFormat::Text { colours, heading: terminal },
            Format::Json => TapFormat::Json,
            Format::Har => TapFormat::Har,
        };
        Ok(TapOptions {
            source: source(self.pcap, once_each(self.interfaces), self.place, sorted(self.ports))?,
            format,
            filter: Filter {
                methods: self.methods,
                path_prefixes: self.path_prefixes,
                hosts: self.hosts,
                statuses: self.statuses,
            },
            secrets: if self.show_secrets { Secrets::Shown } else { Secrets::Masked },
            count: self.count.map(u64::from),
        })
    }
}

fn source(
    pcap: Option<PathBuf>,
    interfaces: Vec<String>,
    place: Place,
    ports: Vec<u16>,
) -> Result<TapSource, UsageError> {
    let missing = |what: &str| UsageError(what.to_owned());
    if let Some(path) = pcap {
        return Ok(TapSource::File { path, ports });
    }
    if interfaces.is_empty() {
        return Err(missing("no source: give --interface IF and --port P for live traffic, or --pcap FILE"));
    }
    if ports.is_empty() {
        return Err(missing("--interface needs a service port: give --port P, such as --port 8080"));
    }
    Ok(TapSource::Live(LiveOptions {
        interfaces,
        netns: place.netns,
        ports,
        rate: SampleRate::ALL,
        sample_by: SampleBy::Request,
        attach: place.attach.into(),
        only_new: false,
        export_responses: true,
        // Copies that an agent sends are exchanges like any other here.
        own_mark: 0,
        seed: random::number(),
        ..LiveOptions::default()
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::{
        capture::AttachMode,
        cli::args::{Cli, Command},
    };

    fn options(arguments: &str) -> Result<TapOptions, UsageError> {
        let arguments = ["shadow-agent", "tap"].into_iter().chain(arguments.split_whitespace());
        match Cli::try_parse_from(arguments).map_err(|error| UsageError::from(&error))?.command {
            Command::Tap(tap) => tap.into_options(),
            _ => panic!("not `tap`"),
        }
    }

    #[test]
    fn a_file_needs_nothing_else() {
        let options = options("--pcap - --color never").unwrap();
        let TapSource::File { path, ports } = options.source else { panic!("not a file") };
        assert_eq!((path.as_path(), ports.len()), (Path::new("-"), 0));
        assert!(matches!(options.format, TapFormat::Text { colours: false, .. }));
        assert_eq!((options.filter, options.secrets), (Filter::default(), Secrets::Masked));
        assert_eq!(options.count, None);
    }

    #[test]
    fn everything_can_be_set() {
        let options = options(
            "--interface b --interface a --interface b --netns /run/netns/x --attach tc --port 81 --port 80 --port 81 \
             --method GET --method post --path-prefix /a --host *.example --status 5xx --status 200 --format har \
             --show-secrets --count 3 --color always --log debug",
        )
        .unwrap();
        let TapSource::Live(live) = options.source else { panic!("not live") };
        assert_eq!((live.interfaces, live.ports), (vec!["b".to_owned(), "a".to_owned()], vec![80, 81]));
        assert_eq!((live.netns.as_deref(), live.attach), (Some(Path::new("/run/netns/x")), AttachMode::Tc));
        assert!(live.export_responses);
        let Filter { methods, path_prefixes, hosts, statuses } = options.filter;
        assert_eq!((methods.len(), path_prefixes.len(), hosts.len(), statuses.len()), (2, 1, 1, 2));
        assert_eq!((options.format, options.secrets), (TapFormat::Har, Secrets::Shown));
        assert_eq!(options.count, Some(3));
    }

    #[test]
    fn colours_are_only_in_lines_to_read() {
        let format = |arguments: &str| options(&format!("--pcap x {arguments}")).unwrap().format;
        assert!(matches!(format("--color always"), TapFormat::Text { colours: true, .. }));
        assert!(matches!(format("--color never"), TapFormat::Text { colours: false, .. }));
        assert_eq!(format("--format json --color always"), TapFormat::Json);
    }

    #[test]
    fn a_mistake_gets_one_line() {
        for (arguments, line) in [
            ("", "no source: give --interface IF and --port P for live traffic, or --pcap FILE"),
            ("--port 80", "no source: give --interface IF and --port P for live traffic, or --pcap FILE"),
            ("--interface a", "--interface needs a service port: give --port P, such as --port 8080"),
            ("--interface a --pcap x", "the argument '--interface <IF>' cannot be used with '--pcap <FILE>'"),
            ("--pcap x --attach tc", "the argument '--pcap <FILE>' cannot be used with '--attach <MODE>'"),
            ("--pcap x --port 0", r#"--port: "0" is no port: give a number from 1 to 65535"#),
            ("--pcap x --method G(T", r#"--method: "G(T" is no method: give one such as GET"#),
            (
                "--pcap x --path-prefix api",
                r#"--path-prefix: "api" is no beginning of a path: give one such as /api/"#,
            ),
            (
                "--pcap x --host http://a",
                "--host: \"http://a\" is no host: give one such as shop.example.com, *.example.com, 10.0.0.1:8080 \
                 or [::1]",
            ),
            (
                "--pcap x --status 6",
                "--status: \"6\" is no status: give one from 100 to 999, such as 200, or several, such as 5xx or \
                 400-499",
            ),
            (
                "--pcap x --format xml",
                "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json, har]",
            ),
        ] {
            assert_eq!(options(arguments).unwrap_err().to_string(), line, "{arguments}");
        }
    }
}
