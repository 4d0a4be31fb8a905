//! Lines to read.

use super::*;

fn lines(exchanges: Vec<Parts<'_>>) -> Vec<String> {
    print(&options(TEXT), exchanges).0.lines().map(str::to_owned).collect()
}

#[test]
fn columns_are_aligned_and_say_what_is_missing() {
    let mut exchanges = vec![whole()];
    exchanges.extend(broken());
    let expected = "\
GET     a.example  /a?b=c                    200            0         5     3.000ms
-       -          -                         -              0         -           -  gap, no response
POST    a.example  /b                        -              2         -           -  incomplete, no response
POST    a.example  /b                        -              4         -           -  no response
POST    a.example  /b                        200            4         4     1.000ms  response gap
POST    a.example  /b                        200            4         4     1.000ms  response incomplete
POST    a.example  /b                        200            0         4           -  gap
";
    let began = "03:00:37.123456  10.0.0.1:40000     ";
    let lines = lines(exchanges);
    let shown: Vec<_> = lines.iter().map(|line| line.strip_prefix(began).unwrap()).collect();
    assert_eq!(shown, expected.lines().collect::<Vec<_>>());
}

#[test]
fn long_targets_widen_their_column_and_are_never_cut_off() {
    let get =
        |target: &str| vec![RequestHead(request(&format!("GET {target} HTTP/1.1"), "")), RequestEnd(Ok(()))];
    let (long, longer) = (format!("/{}", "a".repeat(50)), format!("/{}", "b".repeat(500)));
    let lines = lines(vec![get("/"), get(&long), get("/"), get(&longer), get("/")]);
    let column = |line: &str| line.find(" - ").unwrap();
    let [first, second, third, fourth, fifth] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(second.contains(&long) && fourth.contains(&longer));
    assert!(column(first) < column(second));
    assert_eq!(column(second), column(third));
    // Only so far: the others stay readable.
    assert_eq!(column(fifth), column(third) + 9);
    assert_eq!(column(fourth), column(fifth) + 501 - 60);
}

#[test]
fn colours_and_heading_only_where_asked_for() {
    let (plain, _) = print(&options(TEXT), vec![whole()]);
    assert!(!plain.contains('\x1b'));
    let (coloured, _) = print(&options(TapFormat::Text { colours: true, heading: true }), vec![whole()]);
    let (heading, line) = coloured.split_once('\n').unwrap();
    assert!(line.contains("\x1b[32m200   \x1b[0m") && line.contains("\x1b[1mGET\x1b[0m"), "{line:?}");
    for code in ["\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"] {
        assert!(line.contains(code));
    }
    let bare =
        ["\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0m"].iter().fold(line.to_owned(), |l, c| l.replace(c, ""));
    assert_eq!(bare, plain);
    for (name, value) in [("CLIENT", "10.0.0.1"), ("METHOD", "GET"), ("TARGET", "/a"), ("STATUS", "200")] {
        assert_eq!(heading.find(name), plain.find(value), "{name}");
    }
    assert_eq!(heading.len(), plain.trim_end().len());
}

#[test]
fn an_answer_before_the_requests_end_has_no_latency() {
    let early = vec![
        RequestHead(request("POST / HTTP/1.1", "Content-Length: 1\r\n")),
        ResponseHead(response("HTTP/1.1 413 Content Too Large", "")),
        RequestBody(b"x"),
        RequestEnd(Ok(())),
        ResponseEnd(Ok(())),
    ];
    assert!(lines(vec![early])[0].ends_with("413            1         0     0.000ms"));
}
