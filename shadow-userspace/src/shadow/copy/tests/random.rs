//! A secret in a configured place never leaves, and nothing else is changed: the copy is that of a request which had
//! `REDACTED` there from the beginning.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::*;

/// What a secret consists of; no noise has it.
const SECRET: &str = "s3cr3t";

/// Secrets in JSON.
const VALUES: [&str; 4] =
    [r#""s3cr3t""#, r#"{"a":["s3cr3t","}"]}"#, r#"["s3cr3t\""]"#, r#""\\s3cr3t\u0000""#];

fn policy() -> CopyPolicy {
    let redaction = Redaction {
        headers: vec![HeaderName::from_static("x-key")],
        cookies: vec!["session".to_owned()],
        query: vec!["to ken".to_owned()],
        json: vec!["/user/password".parse().unwrap(), "/list/*/k~1v".parse().unwrap()],
    };
    CopyPolicy { redaction: Arc::new(redaction), ..CopyPolicy::default() }
}

/// Pieces around the secret in each place.
#[derive(Clone, Debug)]
struct Noise {
    headers: [String; 2],
    cookies: [String; 2],
    query: [String; 2],
    parameter: &'static str,
    json: [String; 2],
    member: &'static str,
    chunked: bool,
}

/// Members of an object, none of them a secret.
fn members() -> impl Strategy<Value = String> {
    let value = r#"(1e999|-0\.10|"\\"[a-z]"|\{"password":\[\]\}|\[\[1,2\],\{\}\]|null)"#;
    let member = r#"[ \n]{0,2}"[a-d]{0,2}"[ ]{0,1}:"#.to_owned() + value;
    let member = prop::string::string_regex(&member).unwrap();
    vec(member, 0..4).prop_map(|members| members.join(","))
}

fn noise() -> impl Strategy<Value = Noise> {
    let headers = || vec("[a-w][A-Za-z-]{0,8}: [ -~]{0,20}\r\n", 0..3).prop_map(|lines| lines.concat());
    let headers = [headers(), headers()].prop_filter("framing is the test's", |headers| {
        let names =
            headers.iter().flat_map(|headers| headers.lines()).filter_map(|line| line.split(':').next());
        let reserved = ["host", "connection", "te", "trailer", "upgrade", "cookie", "expect", "digest"];
        names.into_iter().all(|name| !reserved.contains(&name.to_ascii_lowercase().as_str()))
    });
    let cookies = || vec("[a-d]=[!-+\\--:<-~]{0,8}; ", 0..3).prop_map(|pairs| pairs.concat());
    let query = || vec("[a-d%+;]{0,4}=[a-z%=?/]{0,8}&", 0..3).prop_map(|pairs| pairs.concat());
    (
        headers,
        [cookies(), cookies()],
        [query(), query()],
        prop::sample::select(vec!["to%20ken", "to+ken", "%74o%20ken", "x;to+ken"]),
        [members(), members()],
        prop::sample::select(vec![
            r#""user" : {"password": S}"#,
            r#""us\u0065r":{"a":1,"password" :S , "password":S}"#,
            r#""list":[1,{"k/v": S},[{"k/v":1}],{"k\/v":S}]"#,
            r#""list":{"a":{"k/v":S,"b":1}}, "user":{"password":S}"#,
        ]),
        any::<bool>(),
    )
        .prop_map(|(headers, cookies, query, parameter, json, member, chunked)| Noise {
            headers,
            cookies,
            query,
            parameter,
            json,
            member,
            chunked,
        })
}

/// A request with these in the configured places, and its body.
fn request(noise: &Noise, header: &str, cookie: &str, parameter: &str, value: &str) -> (String, String) {
    let members = [&noise.json[0], noise.member, &noise.json[1]].map(str::to_owned);
    let members: Vec<_> = members.into_iter().filter(|members| !members.is_empty()).collect();
    let body = format!("{{{}}}", members.join(",").replace('S', value));
    let framing = if noise.chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", body.len())
    };
    let raw = format!(
        "POST /p?{}{}={parameter}&{} HTTP/1.1\r\nHost: a\r\n{}X-Key: {header}\r\nCookie: {}session={cookie}; {}\r\n\
         {framing}\r\n{}\r\n",
        noise.query[0],
        noise.parameter,
        noise.query[1],
        noise.headers[0],
        noise.cookies[0],
        noise.cookies[1],
        noise.headers[1],
    );
    (raw, body)
}

proptest! {
    #[test]
    fn secrets_never_leave_and_all_else_does(
        noise in noise(),
        around in "[a-z=?.\"\\\\]{0,6}",
        value in prop::sample::select(VALUES.to_vec()),
    ) {
        let secret = format!("{around}{SECRET}{around}");
        let (raw, body) = request(&noise, &secret, &secret, &secret.replace(['"', '\\'], "%22"), value);
        let redacted = sent(&raw, &body, &[], &policy());
        let (raw, body) = request(&noise, "REDACTED", "REDACTED", "REDACTED", r#""REDACTED""#);
        let expected = sent(&raw, &body, &[], &CopyPolicy::default());
        prop_assert!(redacted.as_ref().is_ok_and(|sent| !sent.contains(SECRET)), "{redacted:?}");
        prop_assert_eq!(redacted, expected);
    }
}
