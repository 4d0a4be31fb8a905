//! TLS to real servers: whom the client believes, and what each failure counts as.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::shadow::options::TlsOptions;

/// Who signs certificates, and the file that says so.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), file: file(pem.as_bytes()) }
    }

    /// For these names, valid until this year.
    fn certificate(
        &self,
        names: &[&str],
        until: i32,
    ) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().into(), key.serialize_der().into())
    }

    /// A server with a certificate for these names, valid until this year.
    fn server(&self, names: &[&str], until: i32) -> ServerConfig {
        let (certificate, key) = self.certificate(names, until);
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap()
    }

    fn trusted(&self) -> TlsOptions {
        TlsOptions { ca_file: Some(self.file.path().to_owned()), ..TlsOptions::default() }
    }
}

fn file(content: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

/// Answers 204 over TLS, and says under which name it was asked.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let session = stream.get_ref().1;
    let name = session.server_name().unwrap_or("none").to_owned();
    let protocol = session.alpn_protocol().map(<[u8]>::to_vec).unwrap_or_default();
    let answer = format!("HTTP/1.1 204 {name} {}\r\n\r\n", protocol.escape_ascii());
    while read_request(&mut stream).await?.is_some() {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn peer(config: ServerConfig) -> Peer {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Peer::spawn(move |stream| serve(acceptor.clone(), stream)).await
}

fn tls_client(peer: &Peer, tls: TlsOptions) -> ShadowClient {
    let upstream = format!("https://{}", peer.address).parse().unwrap();
    let connect_timeout = Duration::from_millis(500);
    ShadowClient::new(&UpstreamOptions { tls, connect_timeout, ..options(upstream) }).unwrap()
}

fn named(name: &str, tls: TlsOptions) -> TlsOptions {
    TlsOptions { server_name: Some(name.to_owned()), ..tls }
}

#[tokio::test]
async fn copies_cross_tls_on_kept_connections() {
    let authority = Authority::new();
    let peer = peer(authority.server(&["v2.test", "127.0.0.1"], 4000)).await;
    for tls in [authority.trusted(), named("v2.test", authority.trusted())] {
        let client = tls_client(&peer, tls);
        for _ in 0..10 {
            assert_eq!(get(&client).await, Outcome::Mirrored(204));
        }
        assert_eq!(client.connections(), 1);
    }
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn the_server_is_asked_by_name_for_http_1_1() {
    let authority = Authority::new();
    let mut config = authority.server(&["v2.test"], 4000);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let peer = peer(config).await;
    let client = tls_client(&peer, named("v2.test", authority.trusted()));
    let mut connection = client.inner.connection().await.unwrap();
    let copy = Request::from_parts(head("GET", &[]), CopyBody::sized(Bytes::new()));
    let answer = connection.sender.try_send_request(copy).await.unwrap();
    let reason = answer.extensions().get::<hyper::ext::ReasonPhrase>().unwrap();
    assert_eq!(reason.as_bytes(), b"v2.test http/1.1");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_a_failure_of_tls_unless_any_will_do() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (case, config) in [
        ("expired", authority.server(&["127.0.0.1"], 2020)),
        ("for another name", authority.server(&["v2.test"], 4000)),
        ("by an unknown authority", stranger.server(&["127.0.0.1"], 4000)),
    ] {
        let peer = peer(config).await;
        let outcome = get(&tls_client(&peer, authority.trusted())).await;
        assert_eq!(outcome, Outcome::Failed(FailReason::Tls), "{case}");
        let insecure = TlsOptions { insecure: true, ..TlsOptions::default() };
        assert_eq!(get(&tls_client(&peer, insecure)).await, Outcome::Mirrored(204), "{case}");
    }
}

#[tokio::test]
async fn a_file_may_hold_several_authorities() {
    let (one, two) = (Authority::new(), Authority::new());
    let both = [&one, &two].map(|authority| std::fs::read(authority.file.path()).unwrap()).concat();
    let both = file(&both);
    for authority in [one, two] {
        let peer = peer(authority.server(&["127.0.0.1"], 4000)).await;
        let tls = TlsOptions { ca_file: Some(both.path().to_owned()), ..TlsOptions::default() };
        assert_eq!(get(&tls_client(&peer, tls)).await, Outcome::Mirrored(204));
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_a_failure_of_tls() {
    let authority = Authority::new();
    for (case, first, reset) in [
        ("plain HTTP", &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], false),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28", false),
        ("an end", b"", false),
        ("a reset", b"", true),
    ] {
        let peer = Peer::spawn(move |mut stream| async move {
            stream.read_buf(&mut Vec::with_capacity(4096)).await?;
            stream.write_all(first).await?;
            if reset {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            }
            Ok(())
        })
        .await;
        let outcome = get(&tls_client(&peer, authority.trusted())).await;
        assert_eq!(outcome, Outcome::Failed(FailReason::Tls), "{case}");
    }
    let mut config = authority.server(&["127.0.0.1"], 4000);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let peer = peer(config).await;
    let outcome = get(&tls_client(&peer, authority.trusted())).await;
    assert_eq!(outcome, Outcome::Failed(FailReason::Tls), "HTTP/2 alone");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_a_failure_of_tls() {
    // In TLS 1.3 it says so only after the client has done its part.
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(authority.file.path()).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let (certificate, key) = authority.certificate(&["127.0.0.1"], 4000);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let peer = peer(config).await;
    for _ in 0..10 {
        let outcome = get(&tls_client(&peer, authority.trusted())).await;
        assert_eq!(outcome, Outcome::Failed(FailReason::Tls));
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_time_for_connecting() {
    let authority = Authority::new();
    let peer = Peer::spawn(|stream| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    let began = Instant::now();
    let outcome = get(&tls_client(&peer, authority.trusted())).await;
    assert_eq!(outcome, Outcome::Failed(FailReason::Tls));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn tls_on_the_port_of_plain_http_is_no_http() {
    let authority = Authority::new();
    let peer = peer(authority.server(&["127.0.0.1"], 4000)).await;
    let outcome = get(&client(peer.upstream())).await;
    assert!(
        matches!(outcome, Outcome::Failed(FailReason::Protocol | FailReason::Reset)),
        "an alert, or the end: {outcome:?}"
    );
}

#[tokio::test]
async fn an_ipv6_address_has_a_certificate_too() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: no IPv6 on loopback");
        return;
    };
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server(&["::1"], 4000)));
    let peer = Peer::listening(listener, move |stream| serve(acceptor.clone(), stream));
    assert_eq!(get(&tls_client(&peer, authority.trusted())).await, Outcome::Mirrored(204));
}

#[test]
fn a_file_of_authorities_that_is_none_is_named_with_what_is_wrong() {
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let torn = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
    for (content, words) in [
        (Some(&b""[..]), "has no certificate"),
        (Some(b"nothing"), "has no certificate"),
        (Some(broken), "certificate 1 of"),
        (Some(torn), "certificate 1 of"),
        (None, "can't read"),
    ] {
        let file = file(content.unwrap_or_default());
        let path = file.path().to_owned();
        if content.is_none() {
            file.close().unwrap();
        }
        let tls = TlsOptions { ca_file: Some(path.clone()), ..TlsOptions::default() };
        let upstream = "https://v2.test".parse().unwrap();
        let error = ShadowClient::new(&UpstreamOptions { tls, ..options(upstream) }).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(path.to_str().unwrap()), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused() {
    let tls = named("not a name", TlsOptions { insecure: true, ..TlsOptions::default() });
    let upstream = "https://v2.test".parse().unwrap();
    let error = ShadowClient::new(&UpstreamOptions { tls, ..options(upstream) }).unwrap_err();
    assert!(error.to_string().contains("\"not a name\""), "{error}");
}
