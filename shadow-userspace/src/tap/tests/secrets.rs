//! Secrets that must appear nowhere (invariant 5).

use super::*;

const SECRET: &str = "s3cr3t";

/// Has it wherever it is one, and bodies that have it too.
fn secretive<'a>() -> Parts<'a> {
    let headers = "AUTHORIZATION: Bearer s3cr3t\r\nproxy-authorization: s3cr3t x\r\ncOOkie: a=s3cr3t; s3cr3t\r\n\
                   Cookie: s3cr3t=b\r\nContent-Length: 6\r\n";
    let answer = "SET-cookie: s3cr3t=s3cr3t; Path=/s3cr3t; Domain=s3cr3t\r\nSet-Cookie: s3cr3t\r\n";
    vec![
        RequestHead(request("POST http://s3cr3t:s3cr3t@b.example/x HTTP/1.1", headers)),
        RequestBody(SECRET.as_bytes()),
        RequestTrailers(vec![("X-Trailer".into(), SECRET.into())]),
        RequestEnd(Ok(())),
        ResponseHead(response("HTTP/1.1 200 OK", answer)),
        ResponseBody(SECRET.as_bytes()),
        ResponseTrailers(vec![("Set-Cookie".into(), SECRET.into())]),
        ResponseEnd(Ok(())),
    ]
}

/// The same with an authority as target.
fn secretive_tunnel<'a>() -> Parts<'a> {
    vec![RequestHead(request("CONNECT me:s3cr3t@b.example:443 HTTP/1.1", ""))]
}

#[test]
fn secrets_appear_in_no_format() {
    for format in ALL_FORMATS {
        let (printed, _) = print(&options(format), vec![secretive(), secretive_tunnel()]);
        assert!(!printed.contains(SECRET), "{format:?}: {printed}");
        assert!(printed.contains("***@b.example"), "{format:?}: {printed}");
    }
    let (json, _) = print(&options(TapFormat::Json), vec![secretive()]);
    assert!(
        json.contains(r#"["AUTHORIZATION","Bearer ***"]"#) && json.contains(r#"["cOOkie","***"]"#),
        "{json}"
    );
}

#[test]
fn they_do_where_they_are_asked_for() {
    for format in ALL_FORMATS {
        let shown = TapOptions { secrets: Secrets::Shown, ..options(format) };
        let (printed, _) = print(&shown, vec![secretive()]);
        assert!(printed.contains("http://s3cr3t:s3cr3t@b.example/x"), "{format:?}: {printed}");
        let of_headers = matches!(format, TapFormat::Json | TapFormat::Har);
        assert_eq!(printed.contains("Bearer s3cr3t"), of_headers);
        assert_eq!(printed.contains("s3cr3t=s3cr3t; Path"), of_headers);
    }
}
