//! nginx as v1 or v2: the front of a recording service, which reads the bodies (nginx alone would not).

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    child::{Child, poll},
    lab::{Lab, PORT},
    netns::Namespace,
};

/// Where the service behind nginx listens, within its namespace.
pub const BEHIND: &str = "127.0.0.1:9000";

/// Below it nginx answers before it has read a request's body.
pub const EARLY: &str = "/early/";

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    log: PathBuf,
    _process: Child,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Access {
    /// The method.
    pub method: String,
    /// The target as received.
    pub target: String,
    /// The protocol: `HTTP/1.1`.
    pub protocol: String,
    /// The Host header, empty if there was none.
    pub host: String,
    /// The header that names the request.
    pub id: String,
    /// The Content-Length header, empty if there was none.
    pub length: String,
    /// The status answered.
    pub status: u16,
}

impl Nginx {
    /// Starts nginx on the service port of a namespace, before a service on [`BEHIND`].
    ///
    /// # Errors
    /// nginx does not start.
    pub fn start(lab: &Lab, namespace: &Namespace, name: &str) -> Result<Self> {
        let home = lab.directory().join(format!("nginx-{name}"));
        fs::create_dir(&home).context("nginx's directory")?;
        let (file, log) = (home.join("nginx.conf"), home.join("access.log"));
        fs::write(&file, configuration(&home.display().to_string()))?;
        let mut command = namespace.command(program());
        command.arg("-e").arg(home.join("error.log")).arg("-p").arg(&home).arg("-c").arg(&file);
        let process = Child::spawn(&format!("nginx {name}"), &mut command)?;
        lab.wait_for_listener(namespace, SocketAddr::from(([127, 0, 0, 1], PORT)))?;
        Ok(Self { log, _process: process })
    }

    /// The access log, once it has at least `count` lines.
    ///
    /// # Errors
    /// It has fewer after ten seconds, or is no log of ours.
    pub fn accesses(&self, count: usize) -> Result<Vec<Access>> {
        let what = format!("{count} lines in {}", self.log.display());
        let text = poll(Duration::from_secs(10), &what, || {
            let text = fs::read_to_string(&self.log)?;
            Ok((text.matches('\n').count() >= count).then_some(text))
        })?;
        text.lines().map(|line| serde_json::from_str(line).context("a line of the access log")).collect()
    }
}

fn program() -> PathBuf {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/sbin/nginx"].map(PathBuf::from);
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from("nginx"))
}

/// All files below `home`. Root's workers: the home is readable by root only, and nothing leaves the namespace.
fn configuration(home: &str) -> String {
    format!(
        r#"user root;
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    log_format requests escape=json '{{"method":"$request_method","target":"$request_uri","protocol":"$server_protocol",'
        '"host":"$http_host","id":"$http_x_request_id","length":"$http_content_length","status":$status}}';
    access_log {home}/access.log requests;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_max_body_size 0;
    keepalive_requests 100000;
    upstream behind {{ server {BEHIND}; keepalive 64; }}
    server {{
        listen {PORT} backlog=1024;
        listen [::]:{PORT} backlog=1024;
        # Answers as soon as it has the head; the body is read and thrown away.
        location {EARLY} {{ return 200 "early"; }}
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
}}
"#
    )
}
